"""Cursors as text: the form in which watermarks and deletions record a day, a moment or a number."""

from datetime import datetime

import pyarrow as pa

from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, quoted

# Recorded where a dataset has no cursor: these columns may not be null.
NO_CURSOR = ""


def cursor_type(dataset: Dataset) -> pa.DataType | None:
    """Return the declared type of the cursor, or None if the dataset has no cursor."""
    return dataset.schema.field(dataset.cursor).type if dataset.cursor else None


def cursor_text(value: str | datetime | int) -> str:
    """Return a cursor's value as text: a day or a moment (UTC) as it is stored in SQLite, or digits."""
    return f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else str(value)


def is_later(dataset: Dataset, one: str, other: str) -> bool:
    """Return True if a cursor, as text, is greater than another one."""
    if pa.types.is_integer(cursor_type(dataset)):
        return int(one) > int(other)
    return one > other


def as_cursor(dataset: Dataset, text: str) -> str:
    """Return SQL for a cursor as text in a form that compares as the cursor does."""
    return f"CAST({text} AS BIGINT)" if pa.types.is_integer(cursor_type(dataset)) else text


def typed_cursor(database: Database, dataset: Dataset, text: str) -> str:
    """Return the SQL that turns SQL for a cursor as text into the type of the column."""
    is_moment = pa.types.is_timestamp(cursor_type(dataset))
    return database.moment(text) if is_moment else as_cursor(dataset, text)


def stored_cursor(database: Database, dataset: Dataset, alias: str) -> str:
    """Return the SQL of a row's cursor as text."""
    if not dataset.cursor:
        return f"'{NO_CURSOR}'"
    column, kind = f"{alias}.{quoted(dataset.cursor)}", cursor_type(dataset)
    if pa.types.is_integer(kind):
        return f"CAST({column} AS TEXT)"
    return database.moment_text(column) if pa.types.is_timestamp(kind) else column
