"""How the measured programs are started, and how their results are checked."""

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

DATABASE = "analytics_database.db"

Command = list[str | Path]


def program(name: str) -> Path:
    """Return the path of a program in this environment."""
    return Path(sys.executable).with_name(name)


def notebook(name: str | Path, **parameters: object) -> Command:
    """Return the command that runs a notebook."""
    given = [part for name, value in parameters.items() for part in ("-p", name, _text(value))]
    return [program("notebook-pipeline"), "run", name, *given]


def script(name: str, *arguments: str | Path) -> Command:
    """Return the command that runs one of the programs in contenders/."""
    return [sys.executable, "-m", f"benchmarks.contenders.{name}", *arguments]


def holds(rows: int, name: str = DATABASE) -> Callable[[Path], None]:
    """Return a check that the database in a run's folder has `rows` players."""
    return answers(rows, "SELECT count(*) FROM player", name)


def answers(expected: object, query: str, name: str = DATABASE) -> Callable[[Path], None]:
    """Return a check that exits unless a query on the database in a run's folder gives `expected`."""

    def check(folder: Path) -> None:
        with closing(sqlite3.connect(folder / name)) as connection:
            [found] = connection.execute(query).fetchone()
        if found != expected:
            sys.exit(
                f"{folder / name}: {query} gives {found}, expected {expected}; the measurement is invalid"
            )

    return check


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
