"""The ledger: one row per run, rejected rows, check results, and which runs are alive or lost."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.storage.database import Database, Lock, quoted

LOST = "process lost"
KEPT_REJECTED_ROWS = 10_000


def now() -> str:
    """Return the current time in UTC in the ledger's format."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def days_ago(days: float) -> str:
    """Return the time this number of days ago in the ledger's format; at the earliest in the year 1."""
    try:
        then = datetime.now(UTC) - timedelta(days=days)
    except OverflowError:
        then = datetime.min.replace(tzinfo=UTC)
    return then.isoformat(timespec="microseconds")


def start_run(
    database: Database,
    *,
    run_id: str,
    dag_id: str,
    dag_run_id: str,
    task_id: str,
    map_index: int = -1,
    try_number: int = 1,
    notebook: str,
    notebook_sha256: str,
    parameters: Mapping[str, object],
    artifact: str | None,
) -> None:
    """Insert the row of a run that starts now; dataset and source are taken from its parameters."""
    row = {
        "run_id": run_id,
        "dag_id": dag_id,
        "dag_run_id": dag_run_id,
        "task_id": task_id,
        "map_index": map_index,
        "try_number": try_number,
        "notebook": notebook,
        "notebook_sha256": notebook_sha256,
        "parameters": json.dumps(dict(parameters), ensure_ascii=False, sort_keys=True),
        "dataset": parameters.get("dataset"),
        "source": parameters.get("source") or parameters.get("api_conn_id"),
        "status": "running",
        "started_at": now(),
        "artifact": artifact,
    }
    marks = ", ".join("?" * len(row))
    database.execute(f"INSERT INTO pipeline_run ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def commit_run(
    database: Database,
    run_id: str,
    counts: Mapping[str, int],
    *,
    watermark_before: str | None = None,
    watermark_after: str | None = None,
) -> None:
    """Write counts, watermarks and `committed_at` inside the caller's transaction.

    If cells are run twice by hand, one run merges twice and the counts are added up. Raises PipelineError if
    the run is no longer `running`: another process has closed it as lost, so nothing may be committed.
    """
    added = "".join(f"{name} = coalesce({name}, 0) + ?, " for name in counts)
    done = database.execute(
        f"""UPDATE pipeline_run SET {added}watermark_before = coalesce(watermark_before, ?),
        watermark_after = ?, committed_at = ? WHERE run_id = ? AND status = 'running' RETURNING run_id""",
        [*counts.values(), watermark_before, watermark_after, now(), run_id],
    )
    if not done:
        raise PipelineError(
            f"run {run_id} is no longer `running` in pipeline_run: it was closed, most likely as lost; "
            "nothing was committed. Run again"
        )


def refuse_run(database: Database, run_id: str, rows_read: int, rows_rejected: int) -> None:
    """Write the numbers of rows read and rejected by a run whose data was refused and which merged none."""
    database.execute(
        "UPDATE pipeline_run SET rows_read = ?, rows_rejected = ? "
        "WHERE run_id = ? AND status = 'running' AND committed_at IS NULL",
        [rows_read, rows_rejected, run_id],
    )


def finish_run(database: Database, run_id: str, status: str, error: str | None = None) -> bool:
    """Close a run's row as `success` or `failed`; return False if it was closed already."""
    # U+0000 is the one character that PostgreSQL cannot store.
    error = error and error.replace("\0", "\N{REPLACEMENT CHARACTER}")
    closed = database.execute(
        "UPDATE pipeline_run SET status = ?, error = ?, finished_at = ? "
        "WHERE run_id = ? AND status = 'running' RETURNING run_id",
        [status, error, now(), run_id],
    )
    return bool(closed)


def get_run(database: Database, run_id: str) -> dict[str, object]:
    """Return one run's row, or raise UsageError."""
    rows = database.query("SELECT * FROM pipeline_run WHERE run_id = ?", [run_id]).to_pylist()
    if not rows:
        raise UsageError(f"no run {run_id!r} in {database.name}; `notebook-pipeline runs` lists all runs")
    return rows[0]


def newest_run_id(database: Database) -> str:
    """Return the greatest id of all runs, or "" if there is none yet."""
    if "pipeline_run" not in database.relations():
        return ""
    return database.execute("SELECT coalesce(max(run_id), '') FROM pipeline_run")[0][0]


def last_merge(database: Database, dataset: str, *, or_refused_from: str = "") -> str:
    """Return the id of the last run that merged rows into the dataset, or "" if there is none.

    Runs whose rows from the source `or_refused_from` were refused count as well.
    """
    rows = database.execute(
        "SELECT run_id FROM pipeline_run WHERE dataset = ? AND rows_read IS NOT NULL "
        "AND (committed_at IS NOT NULL OR source = ?) "
        "ORDER BY coalesce(committed_at, finished_at, started_at) DESC, run_id DESC LIMIT 1",
        [dataset, or_refused_from],
    )
    return rows[0][0] if rows else ""


def stored_rows(database: Database, dataset: str) -> int:
    """Return the number of rows in the dataset's table, 0 if there is none: others may write to it, too."""
    if dataset not in database.relations():
        return 0
    return database.execute(f"SELECT count(*) FROM {quoted(dataset)}")[0][0]


def save_rejected(
    database: Database, run_id: str, dataset: str, rows: Iterable[tuple[str, str, Sequence[str]]]
) -> None:
    """Record rejected rows as (position, row as JSON, reasons)."""
    columns = list(zip(*rows, strict=True))
    if not columns:
        return
    positions, contents, reasons = columns
    count = len(positions)
    database.append(
        "rejected_row",
        pa.table(
            {
                "run_id": pa.repeat(pa.scalar(run_id), count),
                "dataset": pa.repeat(pa.scalar(dataset), count),
                "position": pa.array(positions, pa.string()),
                "row": pa.array(contents, pa.string()),
                "reasons": pa.array(
                    [json.dumps(list(why), ensure_ascii=False) for why in reasons], pa.string()
                ),
            }
        ),
    )


SOURCE_COUNT = "source_count"
"""The name of the result in which an update stores, as `expected`, the source's own number of rows."""


def save_results(database: Database, run_id: str, dataset: str, results: Iterable[Mapping[str, Any]]) -> None:
    """Record check results by the names of their columns."""
    for result in results:
        database.execute(
            "INSERT INTO quality_result (run_id, dataset, check_name, severity, passed, measured, expected, "
            "sample, measured_number, measured_counts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                run_id,
                dataset,
                str(result["check_name"]),
                str(result["severity"]),
                int(bool(result["passed"])),
                _text(result.get("measured")),
                _text(result.get("expected")),
                _text(result.get("sample")),
                result.get("measured_number"),
                _text(result.get("measured_counts")),
            ],
        )


def lock_path(output: Path, run: Mapping[str, object]) -> Path:
    """Return the path of a run's lock: beside its artefact or, if it has none, named after its id."""
    artifact = run["artifact"]
    return output / (f"{artifact}.lock" if artifact else f"runs/manual/{run['run_id']}.lock")


def hold(database: Database, output: Path, run: Mapping[str, object]) -> Lock:
    """Take the lock of a run that is alive; raise PipelineError if another process holds it."""
    return database.hold_run(str(run["run_id"]), lock_path(output, run))


def is_alive(database: Database, output: Path, run: Mapping[str, object]) -> bool:
    """Return True if a process holds the lock of a run, or if that cannot be determined."""
    is_held = database.is_run_held(str(run["run_id"]), lock_path(output, run))
    return is_held or _is_elsewhere(database, output, run)


def settle_lost(database: Database, output: Path) -> list[dict[str, object]]:
    """Close every `running` row whose process has ended as failed, and return those rows."""
    running = database.query("SELECT * FROM pipeline_run WHERE status = 'running'").to_pylist()
    here = [run for run in running if not _is_elsewhere(database, output, run)]
    return [run for run in here if _settle(database, output, run)]


def _is_elsewhere(database: Database, output: Path, run: Mapping[str, object]) -> bool:
    """Return True if a run uses another output folder: neither its lock nor its artefact is in this one."""
    lock = lock_path(output, run)
    return not (database.is_shared or lock.exists() or lock.with_suffix("").exists())


def _settle(database: Database, output: Path, run: Mapping[str, object]) -> bool:
    """Close a run's row while holding its lock; return False if the lock is held or the row is closed."""
    try:
        lock = hold(database, output, run)
    except PipelineError:
        return False
    try:
        return finish_run(database, str(run["run_id"]), "failed", LOST)
    finally:
        lock.release()


def _text(value: object) -> str | None:
    return (
        value
        if value is None or isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, default=str)
    )
