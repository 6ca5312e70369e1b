"""Make the tables that are not there yet: one a dataset, and the bookkeeping beside them."""

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from notebook_pipeline.declare.dataset import DATASETS, Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage.database import Database, literal, quoted

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

_TABLES: Mapping[str, str] = {
    "pipeline_run": ", ".join(f"{name} {kind}" for name, kind in RUN_COLUMNS.items()),
    "watermark": """dataset TEXT NOT NULL, source TEXT NOT NULL, value TEXT NOT NULL, run_id TEXT NOT NULL,
        updated_at TEXT NOT NULL, PRIMARY KEY (dataset, source)""",
    "rejected_row": """run_id TEXT NOT NULL, dataset TEXT NOT NULL, position TEXT NOT NULL,
        "row" TEXT NOT NULL, reasons TEXT NOT NULL""",
    "deleted_row": """dataset TEXT NOT NULL, key TEXT NOT NULL, cursor TEXT NOT NULL, run_id TEXT NOT NULL,
        PRIMARY KEY (dataset, key)""",
    "quality_result": """run_id TEXT NOT NULL, dataset TEXT NOT NULL, check_name TEXT NOT NULL,
        severity TEXT NOT NULL CHECK (severity IN ('error', 'warn')), passed INTEGER NOT NULL,
        measured TEXT, expected TEXT, sample TEXT""",
    # Files by what they hold and the contract they were read under: see ledger.loaded_before.
    "loaded_file": """dataset TEXT NOT NULL, fingerprint TEXT NOT NULL, run_id TEXT NOT NULL,
        PRIMARY KEY (dataset, fingerprint)""",
    # What a run read, and where that stands among all extractions of the source: see extraction_order.py.
    "extraction": """run_id TEXT PRIMARY KEY, dataset TEXT NOT NULL,
        source TEXT NOT NULL, place TEXT NOT NULL,
        is_replay INTEGER NOT NULL""",
    "row_place": "dataset TEXT NOT NULL, key TEXT NOT NULL, place TEXT NOT NULL, PRIMARY KEY (dataset, key)",
    # The last comparison of all keys that deleted what was missing: see deletions.py.
    "sweep": """dataset TEXT PRIMARY KEY, cursor TEXT NOT NULL, run_id TEXT NOT NULL, spared TEXT NOT NULL""",
}

_COLUMN = re.compile(r'"?(\w+)"? (?:TEXT|INTEGER)\b')
_MARKS = ("_run_id", "_source")

_INDEXES: Mapping[str, str] = {
    "pipeline_run_running": "pipeline_run (run_id) WHERE status = 'running'",
    "rejected_row_run": "rejected_row (run_id)",
    "quality_result_run": "quality_result (run_id)",
    "extraction_place": "extraction (dataset, source, place)",
}


def create_tables(database: Database) -> None:
    """Create every table and index that is missing; a database that has them all is not written to.

    Raises UsageError where a table has other columns than its declaration, as those of another version have.
    """
    wanted = _wanted(database)
    if not wanted.keys() <= database.relations():
        with database.transaction():
            database.lock("tables")
            for statement in wanted.values():
                database.define(statement)
    for table, declared in _declared().items():
        _hold_to_declaration(database, table, declared)


def bookkeeping() -> tuple[str, ...]:
    """Return the names of the tables beside those of the datasets."""
    return tuple(_TABLES)


def sql_type(kind: pa.DataType) -> str:
    """Return how a column is stored; days and everything else that is not a number are text."""
    if pa.types.is_integer(kind):
        return "INTEGER"
    return "REAL" if pa.types.is_floating(kind) else "TEXT"


def key_type(dataset: Dataset) -> str:
    """Return how a dataset's key is stored."""
    return sql_type(dataset.schema.field(dataset.key).type)


def rejected_key(database: Database, dataset: Dataset) -> str:
    """Return the SQL that reads the key out of a row of `rejected_row`, as far as it can be read."""
    return database.json_key("row", dataset.key, key_type(dataset))


def is_rejected(dataset: Dataset) -> str:
    """Return the SQL condition that picks a dataset's rows of `rejected_row`, so that its index serves."""
    return f"dataset = {literal(dataset.name)}"


def _wanted(database: Database) -> dict[str, str]:
    tables = {**_TABLES, **{dataset.name: _columns(dataset) for dataset in DATASETS.values()}}
    indexes = {
        **_INDEXES,
        **{
            f"rejected_row_{name}": f"rejected_row (({rejected_key(database, dataset)})) "
            f"WHERE {is_rejected(dataset)}"
            for name, dataset in DATASETS.items()
        },
    }
    tables["rejected_row"] += database.row_number
    return {
        **database.functions,
        **{name: f"CREATE TABLE IF NOT EXISTS {quoted(name)} ({rest})" for name, rest in tables.items()},
        **{name: f"CREATE INDEX IF NOT EXISTS {quoted(name)} ON {rest}" for name, rest in indexes.items()},
    }


def _columns(dataset: Dataset) -> str:
    if dataset.name in _TABLES:
        raise UsageError(f"dataset {dataset.name!r} has the name of a bookkeeping table; choose another")
    columns = [
        f"{quoted(column.name)} {sql_type(column.type)}"
        + (" PRIMARY KEY" if column.name == dataset.key else "")
        + ("" if column.nullable else " NOT NULL")
        for column in dataset.schema
    ]
    # A CHECK of the source would be asked of every row, and take a tenth of a load.
    columns += [f"{mark} TEXT NOT NULL" for mark in _MARKS]
    return ", ".join(columns)


def _declared() -> dict[str, list[str]]:
    """Return the names of every table's columns."""
    datasets = {name: [*dataset.schema.names, *_MARKS] for name, dataset in DATASETS.items()}
    return {name: _COLUMN.findall(columns) for name, columns in _TABLES.items()} | datasets


def _hold_to_declaration(database: Database, table: str, declared: Sequence[str]) -> None:
    there = database.columns(table)
    if sorted(there) != sorted(declared):
        raise UsageError(
            f"{database.name}: table {table} has the columns {there}, but this version asks for "
            f"{list(declared)}; change the table (ALTER TABLE), or a dataset's declaration in datasets.py"
        )
