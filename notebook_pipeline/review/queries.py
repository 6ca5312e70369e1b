"""Queries of the ledger: which runs there were, what one did, which run came before it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, Connection, resolve, sqlite_path
from notebook_pipeline.errors import UsageError
from notebook_pipeline.number_texts import counted
from notebook_pipeline.outputs.output_store import open_output
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database, Value
from notebook_pipeline.storage.schema_steps import STEPS, stored_version
from notebook_pipeline.storage.tables import create_tables

Run = Mapping[str, Any]

STATUSES = ("running", "success", "failed")
ALL = -1
SAME_NOTEBOOK = ("notebook", "dataset")
SAME_TASK = ("notebook", "dag_id", "task_id", "map_index")


class NoLedgerError(UsageError):
    """Raised if no run is recorded yet, so that there is nothing to review."""


@dataclass(frozen=True)
class Filters:
    """The conditions on runs; an empty one matches every run.

    `days` counts back from now; `dag_ids` are the DAGs that the reader may see (None: all).
    """

    notebook: str = ""
    dataset: str = ""
    status: str = ""
    days: float | None = None
    dag_ids: frozenset[str] | None = None

    def where(self) -> tuple[str, list[Value]]:
        """Return the SQL condition and the values bound to it."""
        wanted = {"notebook": self.notebook, "dataset": self.dataset, "status": self.status}
        parts = [f"{column} = ?" for column, value in wanted.items() if value]
        values: list[Value] = [value for value in wanted.values() if value]
        if self.days is not None:
            parts.append("started_at >= ?")
            values.append(ledger.days_ago(self.days))
        if self.dag_ids is not None:
            # Not every database accepts `IN ()`; `IN (NULL)` matches nothing.
            parts.append(f"dag_id IN ({', '.join('?' * len(self.dag_ids)) or 'NULL'})")
            values += sorted(self.dag_ids)
        return " AND ".join(parts) or "1 = 1", values


@contextmanager
def open_ledger(connection: Connection | None = None) -> Iterator[Database]:
    """Open the analytics database read-only; raise NoLedgerError if no run is recorded yet."""
    connection = connection or resolve(DATABASE)
    if connection.conn_type == "sqlite" and not sqlite_path(connection).is_file():
        raise NoLedgerError(f"{sqlite_path(connection)}: no database yet; {_FIRST_RUN}")
    with connect(connection, read_only=True) as database:
        version = stored_version(database)
        if version is None:
            raise NoLedgerError(f"{database.name}: no table pipeline_run yet; {_FIRST_RUN}")
        if version < len(STEPS):
            # What is read may be in tables or columns that an older engine did not have.
            with connect(connection) as writable:
                create_tables(writable)
        yield database


def list_runs(
    database: Database, filters: Filters = Filters(), *, limit: int = ALL, offset: int = 0
) -> list[dict[str, Any]]:
    """Return runs, newest first; a negative limit means all."""
    condition, values = filters.where()
    return _runs(
        database,
        f"SELECT * FROM pipeline_run WHERE {condition} ORDER BY run_id DESC LIMIT ? OFFSET ?",
        [*values, 2**62 if limit < 0 else limit, offset],
    )


def count_runs(database: Database, filters: Filters = Filters()) -> int:
    """Return the number of runs."""
    condition, values = filters.where()
    return database.execute(f"SELECT COUNT(*) FROM pipeline_run WHERE {condition}", values)[0][0]


def distinct(database: Database, column: str, filters: Filters = Filters()) -> list[str]:
    """Return the distinct values of the column `notebook`, `dataset` or `dag_id`, sorted."""
    if column not in ("notebook", "dataset", "dag_id"):
        raise UsageError(f"column is {column!r}; expected notebook, dataset or dag_id")
    condition, values = filters.where()
    rows = database.execute(
        f"SELECT DISTINCT {column} FROM pipeline_run WHERE {column} IS NOT NULL AND {condition} "
        f"ORDER BY {column}",
        values,
    )
    return [value for (value,) in rows]


def find_run(database: Database, name: str) -> dict[str, Any]:
    """Return the run with this id; its beginning or end is enough if only one run matches.

    Raises UsageError if no run matches, or more than one.
    """
    part = re.sub(r"([\\%_])", r"\\\1", name)
    found = _runs(
        database,
        "SELECT * FROM pipeline_run WHERE run_id LIKE ? ESCAPE '\\' OR run_id LIKE ? ESCAPE '\\' "
        "ORDER BY CASE WHEN run_id = ? THEN 0 ELSE 1 END, run_id DESC LIMIT 4",
        [f"{part}%", f"%{part}", name],
    )
    if not found or not name:
        raise UsageError(f"no run {name!r} in {database.name}; `notebook-pipeline runs` lists the runs")
    if len(found) > 1 and found[0]["run_id"] != name:
        those = ", ".join(run["run_id"] for run in found[:3]) + (", …" if len(found) > 3 else "")
        raise UsageError(f"{name!r} matches several runs: {those}; give more of the run's id")
    return found[0]


def previous_run(database: Database, run: Run, alike: Sequence[str] = SAME_NOTEBOOK) -> dict[str, Any] | None:
    """Return the last run before this one with the same values in the columns `alike`, or None."""
    condition = " AND ".join(f"{column} IS NOT DISTINCT FROM ?" for column in alike)
    rows = _runs(
        database,
        f"SELECT * FROM pipeline_run WHERE run_id < ? AND {condition} ORDER BY run_id DESC LIMIT 1",
        [run["run_id"], *(run[column] for column in alike)],
    )
    return rows[0] if rows else None


def last_two_runs(database: Database) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the last run and the one before it of the same notebook and dataset, the older first."""
    for run in list_runs(database, limit=100):
        before = previous_run(database, run)
        if before:
            return before, run
    raise UsageError(f"{database.name}: no notebook has run twice yet, so there is nothing to compare")


def task_runs(database: Database, dag_id: str, dag_run_id: str, task_id: str) -> list[dict[str, Any]]:
    """Return every try of a task, for all map indexes, newest last."""
    return _runs(
        database,
        "SELECT * FROM pipeline_run WHERE dag_id = ? AND dag_run_id = ? AND task_id = ? "
        "ORDER BY map_index, try_number, run_id",
        [dag_id, dag_run_id, task_id],
    )


def read_checks(database: Database, run_id: str) -> list[dict[str, Any]]:
    """Return the check results of a run in readable form, failed ones first."""
    return [named(result) for result in stored_checks(database, run_id)]


def stored_checks(database: Database, run_id: str) -> list[dict[str, Any]]:
    """Return the check results of a run as they are stored, failed ones first."""
    return database.query(
        "SELECT check_name, severity, passed, measured, expected, sample FROM quality_result "
        "WHERE run_id = ? ORDER BY passed, severity, check_name",
        [run_id],
    ).to_pylist()


def named(result: dict[str, Any]) -> dict[str, Any]:
    """Return a check result in readable form; the count of the source is stored as bare numbers."""
    if result["check_name"] != ledger.SOURCE_COUNT:
        return result
    words = {name: counted(int(result[name]), "row") for name in ("measured", "expected")}
    return {**result, "check_name": "as many rows as the source, after an update", **words}


def read_rejected(database: Database, run_id: str, limit: int = 20) -> list[dict[str, Any]]:
    """Return the first rejected rows of a run as they were received, with the reasons."""
    rows = database.execute(
        'SELECT position, "row", reasons FROM rejected_row WHERE run_id = ? ORDER BY rowid LIMIT ?',
        [run_id, limit],
    )
    return [{"position": at, "row": row, "reasons": json.loads(reasons)} for at, row, reasons in rows]


def _runs(database: Database, sql: str, values: Sequence[Value]) -> list[dict[str, Any]]:
    """Return runs; `is_lost` is True if the status is `running` but the process no longer exists."""
    output = settings.output()
    return [
        run | {"is_lost": run["status"] == "running" and not ledger.is_alive(database, output, run)}
        for run in database.query(sql, values).to_pylist()
    ]


def seconds(run: Run) -> float | None:
    """Return how long a run took, or None if it has not finished."""
    if not run["finished_at"]:
        return None
    return (
        datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])
    ).total_seconds()


def artefact(run: Run) -> str | None:
    """Return the address at which a person can open a run's artefact."""
    return open_output().address(run["artifact"]) if run["artifact"] else None


_FIRST_RUN = "run a notebook first (`make run`, or `notebook-pipeline run bulk_load`)"
