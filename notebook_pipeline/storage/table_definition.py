"""The definition of a dataset's table in SQL, as its engine takes it."""

import pyarrow as pa

from notebook_pipeline.declare.column import MARKS, Column
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, quoted


def table_definition(database: Database, dataset: Dataset) -> str:
    """Return what follows the name in CREATE TABLE: columns, marks and primary key."""
    lines = [
        f"{column_definition(database, column)}{'' if column.nullable else ' NOT NULL'}"
        for column in dataset.columns
    ]
    # Other programs may insert rows, too, and know nothing of the marks.
    lines += [f"{quoted(mark)} {mark_type(database)}" for mark in MARKS]
    lines.append(f"PRIMARY KEY ({key_columns(dataset)})")
    return f"({', '.join(lines)}){'' if _has_one_integer(dataset) else database.tables.clustered}"


def column_definition(database: Database, column: Column) -> str:
    """Return the name and the type of a declared column."""
    return f"{quoted(column.name)} {database.sql_type(column.type)}"


def mark_type(database: Database) -> str:
    """Return the SQL type of `_run_id` and `_source`."""
    return database.sql_type(pa.string())


def key_columns(dataset: Dataset) -> str:
    """Return the columns of the key, separated by commas."""
    return ", ".join(map(quoted, dataset.keys))


def _has_one_integer(dataset: Dataset) -> bool:
    """Return True if SQLite orders the table by the key in any case, because it is its row number."""
    kinds = [dataset.schema.field(name).type for name in dataset.keys]
    return len(kinds) == 1 and pa.types.is_integer(kinds[0])
