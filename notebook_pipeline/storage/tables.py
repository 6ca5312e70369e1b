"""The bookkeeping tables and those of datasets: their columns, and creating them if they are missing."""

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from notebook_pipeline.declare.column import MARKS
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.keys import is_rejected, rejected_key
from notebook_pipeline.storage.row_counts import ROW_COUNTS

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
    **dict.fromkeys(ROW_COUNTS, "INTEGER"),
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
        measured TEXT, expected TEXT, sample TEXT, measured_number REAL, measured_counts TEXT""",
    # Files by their content and the contract under which they were read: see ledger.loaded_before.
    "loaded_file": """dataset TEXT NOT NULL, fingerprint TEXT NOT NULL, run_id TEXT NOT NULL,
        PRIMARY KEY (dataset, fingerprint)""",
    # What a run read, and its place in the order of extractions: see extraction_order.py.
    "extraction": """run_id TEXT PRIMARY KEY, dataset TEXT NOT NULL,
        source TEXT NOT NULL, place TEXT NOT NULL,
        is_replay INTEGER NOT NULL""",
    "row_place": "dataset TEXT NOT NULL, key TEXT NOT NULL, place TEXT NOT NULL, PRIMARY KEY (dataset, key)",
    # The rows that a sweep accepted although they were older than the stored ones: see merge_rule.py.
    "accepted_row": """dataset TEXT NOT NULL, key TEXT NOT NULL, cursor TEXT NOT NULL, run_id TEXT NOT NULL,
        PRIMARY KEY (dataset, key)""",
    # The last deleting sweep of each source of a dataset: see deletions.py.
    "sweep": """dataset TEXT NOT NULL, source TEXT NOT NULL, cursor TEXT NOT NULL, run_id TEXT NOT NULL,
        spared TEXT NOT NULL, PRIMARY KEY (dataset, source)""",
}

_COLUMN = re.compile(r'"?(\w+)"? (?:TEXT|INTEGER|REAL)\b')

_INDEXES: Mapping[str, str] = {
    "pipeline_run_running": "pipeline_run (run_id) WHERE status = 'running'",
    "rejected_row_run": "rejected_row (run_id)",
    "quality_result_run": "quality_result (run_id)",
    "extraction_place": "extraction (dataset, source, place)",
}


def create_tables(database: Database) -> None:
    """Create the bookkeeping tables and indexes that are missing; write nothing if there are none.

    Raises UsageError if a table's columns are not those of this version.
    """
    tables = {**_TABLES, "rejected_row": _TABLES["rejected_row"] + database.row_number}
    _create(database, tables, _INDEXES, database.functions)
    remedy = "change the table (ALTER TABLE)"
    for table, columns in _TABLES.items():
        _check_columns(database, table, _COLUMN.findall(columns), "this version expects", remedy)


def create_table(database: Database, dataset: Dataset) -> None:
    """Create a dataset's table and its index of rejected rows if they are missing.

    Raises UsageError if the table's columns are not those of the declaration.
    """
    index = f"rejected_row (({rejected_key(database, dataset)})) WHERE {is_rejected(dataset)}"
    _create(database, {dataset.name: _columns(dataset)}, {f"rejected_row_{dataset.name}": index})
    _check_columns(
        database,
        dataset.name,
        [*dataset.schema.names, *MARKS],
        "its declaration has",
        f"change the table (ALTER TABLE), or datasets/{dataset.name}.py",
    )


def dataset_tables(database: Database) -> list[str]:
    """Return the names of the tables that runs have written, whether or not they are still declared."""
    others = sorted(database.relations() - _TABLES.keys() - _INDEXES.keys())
    return [name for name in others if set(MARKS) <= set(database.columns(name))]


def bookkeeping() -> tuple[str, ...]:
    """Return the names of the bookkeeping tables."""
    return tuple(_TABLES)


def sql_type(kind: pa.DataType) -> str:
    """Return the SQL type of a column; days and everything else that is not a number are text."""
    if pa.types.is_integer(kind):
        return "INTEGER"
    return "REAL" if pa.types.is_floating(kind) else "TEXT"


def _create(
    database: Database,
    tables: Mapping[str, str],
    indexes: Mapping[str, str],
    functions: Mapping[str, str] = {},
) -> None:
    if not {*tables, *indexes, *functions} <= database.relations():
        with database.transaction():
            database.lock("tables")
            for statement in functions.values():
                database.execute(statement)
            for name, rest in tables.items():
                database.define(f"CREATE TABLE IF NOT EXISTS {quoted(name)} ({rest})")
            for name, rest in indexes.items():
                database.execute(f"CREATE INDEX IF NOT EXISTS {quoted(name)} ON {rest}")


def _columns(dataset: Dataset) -> str:
    columns = [
        f"{quoted(column.name)} {sql_type(column.type)}" + ("" if column.nullable else " NOT NULL")
        for column in dataset.schema
    ]
    # A CHECK constraint on the source, evaluated for every row, would take a tenth of a load's time.
    columns += [f"{mark} TEXT NOT NULL" for mark in MARKS]
    columns.append(f"PRIMARY KEY ({', '.join(map(quoted, dataset.keys))})")
    return ", ".join(columns)


def _check_columns(database: Database, table: str, columns: Sequence[str], source: str, remedy: str) -> None:
    there = database.columns(table)
    if sorted(there) != sorted(columns):
        raise UsageError(
            f"{database.name}: table {table} has the columns {there}, but {source} {list(columns)}; {remedy}"
        )
