"""The conversion of received columns to stored ones, which also finds the cells that do not convert.

Whole columns are cast at once; only if that fails are the failed cells looked for (see scalars.py and
dates_and_times.py for which values are valid).
"""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import all_true, is_moment, is_number, is_text, pc
from notebook_pipeline.contract.cells import Cells, Target, decode_each, limited, same
from notebook_pipeline.contract.dates_and_times import ISO, Written
from notebook_pipeline.contract.text_columns import from_text as _from_text
from notebook_pipeline.contract.typed_columns import from_typed
from notebook_pipeline.declare import column_types
from notebook_pipeline.declare.value_formats import is_epoch


def can_convert(received: pa.DataType, declared: pa.DataType, written: str = "") -> bool:
    """Return True if cells of a type may convert: text may, lists only become JSON.

    `written` is the declared format of the column.
    """
    if pa.types.is_dictionary(received):
        return can_convert(received.value_type, declared, written)
    if is_text(received) or pa.types.is_null(received) or pa.types.is_floating(received):
        return True  # a column without values is often written as floats
    if column_types.is_json(declared):
        return True
    if column_types.has_days(declared):
        return is_moment(received) or (is_epoch(written) and is_number(received))
    if pa.types.is_time(declared):
        return pa.types.is_time(received)
    if column_types.is_text(declared):
        return is_number(received) or is_moment(received) or pa.types.is_time(received)
    is_truth = pa.types.is_boolean(received) and pa.types.is_boolean(declared)
    return is_truth or (is_number(received) and not column_types.is_binary(declared))


def from_column(column: pa.Array, declared: pa.DataType, written: Written = ISO) -> Cells:
    """Convert one column of a file; text is parsed."""
    target = Target(declared, written)
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return _from_text(column, target) if is_text(column.type) else from_typed(column, target)


def from_values(
    values: Sequence[object], declared: pa.DataType, written: Written = ISO, *, from_text: bool = False
) -> Cells:
    """Convert one column of parsed JSON values; with `from_text`, those of a file that were kept as JSON."""
    target = Target(declared, replace(written, or_iso=from_text), is_text=from_text)
    kinds = set(map(type, values)) - {type(None)}
    has_text = from_text or not (column_types.is_json(declared) or column_types.is_binary(declared))
    if kinds <= {str, bytes} and has_text:
        try:
            return _from_text(pa.array(values, pa.binary() if bytes in kinds else pa.string()), target)
        except UnicodeEncodeError:
            pass
    if kinds == {int} and pa.types.is_integer(declared):
        try:
            numbers = pa.array(values, pa.int64())
            return limited(numbers, numbers, target)
        except OverflowError:
            pass  # converted one by one below
    if kinds == {float} and pa.types.is_floating(declared):
        numbers = pa.array(values, pa.float64())
        if all_true(pc.is_finite(numbers)):
            return limited(numbers, numbers, target)
    if kinds == {bool} and pa.types.is_boolean(declared):
        return same(pa.array(values, pa.bool_()))
    return decode_each(values, target)
