"""A small dataset, its table and its runs, on which checks are tried."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from notebook_pipeline import checks
from notebook_pipeline.checks import CheckResult, Report
from notebook_pipeline.connections import Connection
from notebook_pipeline.declare import Column, Dataset
from notebook_pipeline.declare.row_conditions import Glob, NotInFuture, NotNull
from notebook_pipeline.declare.rules_and_checks import (
    Check,
    EveryRow,
    Fresh,
    MatchesSource,
    NoRows,
    RejectedShare,
    RowCount,
    Unique,
    UsualChanges,
    UsualMix,
    UsualNulls,
    UsualRowCount,
)
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_tables

TODAY = date(2024, 3, 10)
NO_BOUNDS = "anything until there are 10 earlier runs; 0 so far"

PART = Dataset(
    name="part",
    columns=(
        Column("id", pa.int64(), nullable=False),
        Column("code", pa.string()),
        Column("kind", pa.string()),
        Column("weight", pa.int64()),
        Column("maker", pa.int64()),
        Column("changed", pa.date32(), nullable=False),
    ),
    key="id",
    cursor="changed",
)
GOOD = [
    (1, "A-1", "bolt", 5, 7, "2024-03-01"),
    (2, "A-2", "nut", 6, None, "2024-03-09"),
    (3, None, "nut", None, 8, "2024-03-08"),
]
FIRST, SECOND = "240301-00000000000001", "240309-00000000000002"


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    """Yield a new database with an empty table of parts and a table of makers."""
    with connect(Connection("analytics_database", "sqlite", host=str(folder / "checked.db"))) as opened:
        create_tables(opened)
        opened.execute(
            "CREATE TABLE part (id INTEGER PRIMARY KEY, code TEXT, kind TEXT, weight INTEGER, maker INTEGER, "
            "changed TEXT, _run_id TEXT, _source TEXT)"
        )
        opened.execute("CREATE TABLE maker (id INTEGER PRIMARY KEY)")
        opened.execute("INSERT INTO maker VALUES (7), (8)")
        yield opened


def fill(database: Database, rows: Sequence[tuple], run_id: str = FIRST) -> None:
    for row in rows:
        marks = [*row, run_id, "bulk"]
        database.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?, ?, ?)", marks)


def start(database: Database, run_id: str, notebook: str = "bulk_load", **parameters: str) -> None:
    ledger.start_run(
        database,
        run_id=run_id,
        dag_id="manual",
        dag_run_id=run_id,
        task_id=notebook,
        notebook=notebook,
        notebook_sha256="",
        parameters={"dataset": "part", **parameters},
        artifact=None,
    )


def load(
    database: Database, rows: Sequence[tuple], run_id: str = FIRST, read: int = 3, rejected: int = 0
) -> None:
    start(database, run_id)
    fill(database, rows, run_id)
    ledger.commit_run(database, run_id, {"rows_read": read, "rows_rejected": rejected})


def check(database: Database, *declared: Check, **scope: Any) -> Report:
    return checks.run_checks(database, replace(PART, checks=declared), today=TODAY, **scope)


def only(report: Report) -> CheckResult:
    [result] = report.results
    return result


def part(row: tuple, run_id: str = FIRST) -> dict[str, Any]:
    return dict(zip([*PART.schema.names, "_run_id", "_source"], [*row, run_id, "bulk"], strict=True))


def remember(database: Database, measured: dict[str, list[Any]], scope: str = "table") -> None:
    """Store what runs before this one have measured, by check, oldest first."""
    for place, values in enumerate(zip(*measured.values(), strict=True)):
        run_id = f"240201-000000{place:06}{scope}"
        start(database, run_id, "data_quality", scope=scope)
        results = [
            {
                "check_name": name,
                "severity": "warn",
                "passed": True,
                "measured_counts" if isinstance(value, dict) else "measured_number": value,
            }
            for name, value in zip(measured, values, strict=True)
        ]
        ledger.save_results(database, run_id, "part", results)


USUAL = (
    UsualRowCount("drop"),
    UsualRowCount("jump", "warn"),
    UsualChanges(),
    UsualNulls("code"),
    UsualMix("kind", ("bolt", "nut")),
)
MANY = [(key, f"A-{key}", "bolt" if key % 4 else "nut", 1, 7, "2024-03-09") for key in range(100)]


def history(rows: int, changed: int, nulls: float, bolts: float) -> dict[str, list[Any]]:
    """Return what twelve runs measured that were all alike."""
    alike = {
        "no drop in the number of rows": rows,
        "no jump in the number of rows": rows,
        "rows changed yesterday": changed,
        "share of nulls in code": {"null": nulls * rows / 100, "other": (100 - nulls) * rows / 100},
        "mix of kind": {"bolt": bolts * rows / 100, "nut": (100 - bolts) * rows / 100, "other": 0},
    }
    return {name: [measured] * 12 for name, measured in alike.items()}


ALL_KINDS = (
    RowCount(),
    MatchesSource(),
    Fresh(3),
    RejectedShare(),
    Unique("id"),
    Unique("code"),
    NoRows("no heavy parts", "SELECT id FROM part WHERE weight > 100"),
    *(EveryRow(condition) for condition in (NotNull("kind"), Glob("code", "A*"), NotInFuture("changed"))),
    *USUAL,
)


def statements(database: Database) -> list[str]:
    """Return a list to which every statement on `database` is added from now on."""
    seen: list[str] = []
    for name in ("execute", "query"):
        _spy(database, name, seen)
    return seen


def _spy(database: Database, name: str, seen: list[str]) -> None:
    original = getattr(database, name)

    def spying(sql: str, *values: Any) -> Any:
        seen.append(sql)
        return original(sql, *values)

    setattr(database, name, spying)
