"""Bulk loads compared with other loaders on the same rows."""

import shutil
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks import data
from benchmarks.programs import holds, notebook, program, script
from benchmarks.race import ROUNDS, Contender, race
from benchmarks.report import Goal, Section, side_by_side
from benchmarks.tables import PLAYER_TABLE, SETTINGS

DEFAULT_ROWS = (100_000, 2_000_000)
# Beyond this, other loaders take minutes to hours.
MOST_FOR_ALL = 2_000_000
SHELL = "sqlite3 .import"
OURS = "notebook-pipeline run, Parquet"
OURS_CSV = "notebook-pipeline run, CSV"


def refuse_missing_shell() -> None:
    """Exit if the sqlite3 shell, the baseline of all loaders, is not installed."""
    if not shutil.which("sqlite3"):
        sys.exit(
            "the sqlite3 shell, whose .import is the baseline of bulk loads, is not installed: install it "
            "(Debian: apt install sqlite3), or skip bulk loads: make bench SECTIONS='runner api checks'"
        )


def measure_loads(rows: int) -> Section:
    """Measure loading the same rows with every loader, or above MOST_FOR_ALL with the fastest two."""
    contenders = [_shell(rows), *_ours(rows), *(_others(rows) if rows <= MOST_FOR_ALL else [])]
    results = race(contenders, ROUNDS if rows <= 10_000_000 else 1)
    shell = results[SHELL]
    goals = [
        Goal(f"{name} against {SHELL}", results[name].over(shell), best)
        for name, best in ((OURS, 0.75), (OURS_CSV, 0.85), ("load step alone, Parquet", 0.6))
        if rows >= 10_000_000
    ]
    peak = max(results[name].peak_bytes for name in (OURS, OURS_CSV))
    goals.append(Goal("peak memory of the process tree", peak / 1e6, 700, "MB"))
    about = (
        "Each starts with no database and ends with one table of the same rows, same primary key, in key "
        "order, WAL and `synchronous = NORMAL` (dlt chooses its own). This pipeline also checks every cell, "
        "marks every row with its run, and leaves a ledger and an executed notebook; the others do not."
    )
    return Section(f"Bulk load of {rows:,} rows", about, goals, [side_by_side(results.values(), shell, rows)])


def _ours(rows: int) -> list[Contender]:
    parquet, text = data.as_parquet(rows), data.as_csv(rows)
    check = holds(rows)
    return [
        Contender("load step alone, Parquet", lambda _: script("load_step", parquet), check=check),
        Contender("load step alone, CSV", lambda _: script("load_step", text), check=check),
        Contender(OURS, lambda _: notebook("bulk_load", source=parquet), check=check),
        Contender(OURS_CSV, lambda _: notebook("bulk_load", source=text), check=check),
    ]


def _shell(rows: int) -> Contender:
    source = data.as_csv(rows)

    def import_csv(folder: Path) -> Sequence[str | Path]:
        statements = [*(f"{setting};" for setting in SETTINGS), f"{PLAYER_TABLE};"]
        return ["sqlite3", folder / "other.db", *statements, f'.import --csv --skip 1 "{source}" player']

    return Contender(SHELL, import_csv, check=holds(rows, "other.db"))


def _others(rows: int) -> list[Contender]:
    parquet, text = data.as_parquet(rows), data.as_csv(rows)
    upsert = ["--csv", "--pk", "player_id"]
    check = holds(rows, "other.db")
    once = 1 if rows > 1_000_000 else 3
    return [
        Contender(
            "Python sqlite3.executemany",
            lambda folder: script("executemany", text, folder / "other.db"),
            check=check,
        ),
        Contender(
            "pandas.to_sql",
            lambda folder: script("to_sql", parquet, folder / "other.db"),
            check=check,
            rounds=once,
        ),
        Contender(
            "dlt, merge",
            lambda folder: script("dlt_merge", parquet, folder / "other.db"),
            check=check,
            rounds=once,
        ),
        Contender(
            "sqlite-utils upsert",
            lambda folder: [program("sqlite-utils"), "upsert", folder / "other.db", "player", text, *upsert],
            prepare=_make_table,
            check=check,
            rounds=once,
        ),
    ]


def _make_table(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "other.db")) as connection:
        for statement in (*SETTINGS, PLAYER_TABLE):
            connection.execute(statement)
