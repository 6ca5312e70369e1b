"""How columns of each declared type are stored in SQLite and in PostgreSQL: SQL types, and Arrow's for them.

SQLite has no type for days, moments and times: they are text of a fixed width, which sorts and compares like
them. Moments are in UTC.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import floats
from notebook_pipeline.declare import column_types

Bindable = str | int | float
"""A value that both drivers bind."""

_MOMENT = "%H:%M:%S.%f"


def sqlite_type(kind: pa.DataType) -> str:
    """Return the type of SQLite in which a column of a declared type is stored."""
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "INTEGER"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "REAL"
    return "BLOB" if column_types.is_binary(kind) else "TEXT"


def postgres_type(kind: pa.DataType) -> str:
    """Return the type of PostgreSQL in which a column of a declared type is stored."""
    if pa.types.is_decimal(kind):
        return f"NUMERIC({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    types: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
        (pa.types.is_integer, "BIGINT"),
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_floating, "DOUBLE PRECISION"),
        (column_types.is_binary, "BYTEA"),
        (column_types.is_json, "JSONB"),
    )
    # Text is sorted and compared by its bytes, as SQLite does, whatever the server's locale.
    return next((name for is_kind, name in types if is_kind(kind)), 'TEXT COLLATE "C"')


def sqlite_columns(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows of neutral types as SQLite stores them."""
    columns = [_sqlite_column(column) for column in rows.columns]
    return pa.RecordBatch.from_arrays(columns, rows.schema.names)


def _sqlite_column(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.int64())
    if pa.types.is_decimal(kind):
        return floats(column)
    return column.cast(pa.timestamp("us")).cast(pa.string()) if pa.types.is_timestamp(kind) else column


def sqlite_value(value: object) -> Bindable:
    """Return a Python value as SQLite stores it."""
    if isinstance(value, datetime):
        return f"{_in_utc(value).date().isoformat()} {_in_utc(value):{_MOMENT}}"
    if isinstance(value, time):
        return f"{value:{_MOMENT}}"
    if isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, Decimal) else _plain(value)


def postgres_value(value: object) -> tuple[str, Bindable]:
    """Return how a Python value is bound in PostgreSQL: the SQL around its parameter, and what to bind."""
    if isinstance(value, datetime):
        kind = "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP"
        return f"CAST(? AS {kind})", value.isoformat()
    if isinstance(value, Decimal):
        return "CAST(? AS NUMERIC)", str(value)
    return "?", f"{value:{_MOMENT}}" if isinstance(value, time) else _plain(value)


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value


def _plain(value: object) -> Bindable:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str | int | float):
        return value
    raise TypeError(f"{value!r} cannot be bound in SQL")
