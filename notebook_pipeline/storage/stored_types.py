"""How columns of each declared type are stored: their SQL types in SQLite and in PostgreSQL."""

import pyarrow as pa


def sqlite_type(kind: pa.DataType) -> str:
    """Return the type of SQLite in which a column of a declared type is stored."""
    if pa.types.is_integer(kind):
        return "INTEGER"
    return "REAL" if pa.types.is_floating(kind) else "TEXT"


def postgres_type(kind: pa.DataType) -> str:
    """Return the type of PostgreSQL in which a column of a declared type is stored."""
    if pa.types.is_integer(kind):
        return "BIGINT"
    # Text is sorted and compared by its bytes, as SQLite does, whatever the server's locale.
    return "DOUBLE PRECISION" if pa.types.is_floating(kind) else 'TEXT COLLATE "C"'
