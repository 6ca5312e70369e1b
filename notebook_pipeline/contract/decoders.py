"""Which function decodes a value of each declared type."""

from collections.abc import Callable
from functools import partial

import pyarrow as pa

from notebook_pipeline.contract import dates_and_times, json_values, scalars
from notebook_pipeline.contract.dates_and_times import Written
from notebook_pipeline.declare import column_types

Decode = Callable[[object], object]
"""A function that returns the value of a column for a received value, or raises UnfitError."""


def decoder(declared: pa.DataType, written: Written, *, is_text: bool) -> Decode:
    """Return the function that decodes received values; with `is_text`, a text is what a file contained."""
    if pa.types.is_integer(declared):
        return partial(scalars.whole_number, declared=declared)
    if pa.types.is_floating(declared):
        return partial(scalars.number, declared=declared)
    if pa.types.is_decimal(declared):
        return partial(scalars.decimal, declared=declared)
    if pa.types.is_boolean(declared):
        return scalars.truth
    if column_types.is_text(declared):
        return scalars.text
    if column_types.is_binary(declared):
        return scalars.binary
    if column_types.is_json(declared):
        return json_values.canonical_text if is_text else json_values.canonical
    return _of_time(declared, written)


def _of_time(declared: pa.DataType, written: Written) -> Decode:
    if pa.types.is_date(declared):
        return partial(dates_and_times.day, written=written)
    if pa.types.is_time(declared):
        return partial(dates_and_times.clock_time, written=written, unit=declared.unit)
    decode = dates_and_times.moment if declared.tz else dates_and_times.local_moment
    return partial(decode, written=written, unit=declared.unit)
