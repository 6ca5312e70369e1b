"""Small functions on Arrow arrays and types."""

from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute

pc: Any = compute  # type checkers do not see its functions, which are generated at import
Mask = np.ndarray


def text_bytes(text: pa.Array) -> np.ndarray:
    """Return all bytes of a text column (with 32-bit offsets), end to end, without a copy."""
    _, offsets, data = text.buffers()
    if data is None or not len(text):
        return np.empty(0, np.uint8)
    bounds = np.frombuffer(offsets, np.int32)
    return np.frombuffer(data, np.uint8)[bounds[text.offset] : bounds[text.offset + len(text)]]


def mask(bools: pa.Array) -> Mask:
    """Return Arrow booleans as a NumPy mask; null counts as false."""
    return bools.fill_null(False).to_numpy(zero_copy_only=False)


def all_true(bools: pa.Array) -> bool:
    """Return True if no value is false; null counts as true."""
    return pc.all(bools, min_count=0).as_py()


def try_cast(column: pa.Array, target: pa.DataType) -> pa.Array | None:
    """Return the column cast to a type, or None if a cell does not convert."""
    try:
        return column.cast(target)
    except pa.ArrowInvalid:
        return None


def floats(decimals: pa.Array) -> pa.Array:
    """Return the float nearest to each decimal; a direct cast is off in the last digit of some."""
    return decimals.cast(pa.string()).cast(pa.float64())


def is_text(received: pa.DataType) -> bool:
    """Return True if a type holds text or bytes."""
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary)
    more = (pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(kind(received) for kind in (*kinds, *more))


def is_number(received: pa.DataType) -> bool:
    """Return True if a type holds numbers, or only nulls."""
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(kind(received) for kind in kinds)


def is_moment(received: pa.DataType) -> bool:
    """Return True if a type holds dates or timestamps."""
    return pa.types.is_date(received) or pa.types.is_timestamp(received)


def moments(column: pa.Array) -> pa.Array:
    """Return dates unchanged, and timestamps in UTC without a zone."""
    return column.cast(pa.timestamp(column.type.unit)) if pa.types.is_timestamp(column.type) else column


def spell_moments(column: pa.Array) -> pa.Array:
    """Return dates and timestamps as ISO text: with a Z if they have a zone, else midnights as dates."""
    exact = moments(column)
    if pa.types.is_timestamp(column.type) and column.type.tz:
        return pc.binary_join_element_wise(exact.cast(pa.string()), "Z", "")
    days = try_cast(exact, pa.date32())
    if days is None:  # too far away to be a day
        return exact.cast(pa.string())
    return pc.if_else(pc.equal(days.cast(exact.type), exact), days.cast(pa.string()), exact.cast(pa.string()))
