"""Make the tables that are not there yet: one a dataset, and the bookkeeping beside them."""

import pyarrow as pa

from notebook_pipeline.database import Database, quoted
from notebook_pipeline.datasets import DATASETS, Dataset

RUN_COLUMNS = {
    "run_id": "TEXT PRIMARY KEY",
    "dag_id": "TEXT NOT NULL",
    "dag_run_id": "TEXT NOT NULL",
    "task_id": "TEXT NOT NULL",
    "map_index": "INTEGER NOT NULL",
    "try_number": "INTEGER NOT NULL",
    "notebook": "TEXT NOT NULL",
    "notebook_sha256": "TEXT NOT NULL",
    "parameters": "TEXT NOT NULL",
    "dataset": "TEXT",
    "source": "TEXT",
    "status": "TEXT NOT NULL CHECK (status IN ('running', 'success', 'failed'))",
    "started_at": "TEXT NOT NULL",
    "committed_at": "TEXT",
    "finished_at": "TEXT",
    "rows_read": "INTEGER",
    "rows_inserted": "INTEGER",
    "rows_updated": "INTEGER",
    "rows_unchanged": "INTEGER",
    "rows_stale": "INTEGER",
    "rows_rejected": "INTEGER",
    "rows_deleted": "INTEGER",
    "watermark_before": "TEXT",
    "watermark_after": "TEXT",
    "artifact": "TEXT",
    "error": "TEXT",
}

_BOOKKEEPING = (
    "CREATE TABLE IF NOT EXISTS pipeline_run ("
    + ", ".join(f"{name} {kind}" for name, kind in RUN_COLUMNS.items())
    + ")",
    "CREATE INDEX IF NOT EXISTS pipeline_run_running ON pipeline_run (run_id) WHERE status = 'running'",
    """CREATE TABLE IF NOT EXISTS watermark (
        dataset TEXT NOT NULL, source TEXT NOT NULL, value TEXT NOT NULL, run_id TEXT NOT NULL,
        updated_at TEXT NOT NULL, PRIMARY KEY (dataset, source))""",
    """CREATE TABLE IF NOT EXISTS rejected_row (
        run_id TEXT NOT NULL, dataset TEXT NOT NULL, position TEXT NOT NULL, row TEXT NOT NULL,
        reasons TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS rejected_row_run ON rejected_row (run_id)",
    """CREATE TABLE IF NOT EXISTS deleted_row (
        dataset TEXT NOT NULL, key TEXT NOT NULL, cursor TEXT NOT NULL, run_id TEXT NOT NULL,
        PRIMARY KEY (dataset, key))""",
    """CREATE TABLE IF NOT EXISTS quality_result (
        run_id TEXT NOT NULL, dataset TEXT NOT NULL, check_name TEXT NOT NULL,
        severity TEXT NOT NULL CHECK (severity IN ('error', 'warn')), passed INTEGER NOT NULL,
        measured TEXT, expected TEXT, sample TEXT)""",
    "CREATE INDEX IF NOT EXISTS quality_result_run ON quality_result (run_id)",
    # Files by what they hold and the contract they were read under: see ledger.loaded_before.
    """CREATE TABLE IF NOT EXISTS loaded_file (
        dataset TEXT NOT NULL, fingerprint TEXT NOT NULL, run_id TEXT NOT NULL,
        PRIMARY KEY (dataset, fingerprint))""",
    # The extraction a row belongs to, where that is not the run in its _run_id: see warehouse.Merge.
    """CREATE TABLE IF NOT EXISTS row_place (
        dataset TEXT NOT NULL, key TEXT NOT NULL, place TEXT NOT NULL, PRIMARY KEY (dataset, key))""",
)


def create_tables(database: Database) -> None:
    """Create every table that is missing; a database that has them all is not written to."""
    wanted = {"row_place", *DATASETS}
    there = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if wanted <= there:
        return
    with database.transaction():
        for statement in (*_BOOKKEEPING, *(_dataset_table(dataset) for dataset in DATASETS.values())):
            database.execute(statement)


def _dataset_table(dataset: Dataset) -> str:
    columns = [
        f"{quoted(column.name)} {_sql_type(column.type)}"
        + (" PRIMARY KEY" if column.name == dataset.key else "" if column.nullable else " NOT NULL")
        for column in dataset.schema
    ]
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(dataset.name)} ({', '.join(columns)}, "
        "_run_id TEXT NOT NULL, _source TEXT NOT NULL CHECK (_source IN ('bulk', 'api')))"
    )


def _sql_type(kind: pa.DataType) -> str:
    """Return how a column is stored; days and everything else that is not a number are text."""
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "INTEGER"
    return "REAL" if pa.types.is_floating(kind) else "TEXT"
