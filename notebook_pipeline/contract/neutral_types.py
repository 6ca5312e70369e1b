"""The neutral types: one Arrow type per declared type, in which good rows leave the contract.

An engine turns them into what it stores (see storage/stored_types.py); docs/types.md has the whole table.
"""

import pyarrow as pa

from notebook_pipeline.declare import column_types
from notebook_pipeline.errors import UsageError

MOMENT, LOCAL_MOMENT = pa.timestamp("us", "UTC"), pa.timestamp("us")
TIME = pa.time64("us")


def value_type(declared: pa.DataType) -> pa.DataType:
    """Return the type of a column's values while rules are applied; raise UsageError for a type without one.

    It is the stored type, except that days and times are still days and times.
    """
    if refused := column_types.objection(declared):
        raise UsageError(f"a column cannot be declared so: {refused}")
    if pa.types.is_integer(declared):
        return pa.int64()
    if pa.types.is_floating(declared):
        return pa.float64()
    if pa.types.is_timestamp(declared):
        return MOMENT if declared.tz else LOCAL_MOMENT
    if pa.types.is_time(declared):
        return TIME
    if column_types.is_text(declared) or column_types.is_json(declared):
        return pa.string()
    return pa.binary() if column_types.is_binary(declared) else declared


def stored_type(declared: pa.DataType) -> pa.DataType:
    """Return the type of a column in good rows: days and times are text, and sort like it."""
    kind = value_type(declared)
    return pa.string() if pa.types.is_date(kind) or pa.types.is_time(kind) else kind
