"""The conversion of columns that have a type of their own, as in Parquet: cast at once where possible."""

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import (
    all_true,
    floats,
    is_moment,
    is_number,
    moments,
    pc,
    spell_moments,
    try_cast,
)
from notebook_pipeline.contract.cells import (
    Cells,
    Target,
    decode_distinct,
    decode_each,
    in_range,
    limited,
    same,
)
from notebook_pipeline.declare import column_types

_SAFE_DIGITS = 15  # a float keeps all numbers of this many digits


def from_typed(column: pa.Array, target: Target) -> Cells:
    """Convert a column that is not text."""
    declared, kind = target.declared, column.type
    if pa.types.is_null(kind):
        return same(pa.nulls(len(column), target.kind))
    if is_moment(kind) and not column_types.is_json(declared):
        return _from_moments(column, target.in_iso)
    if pa.types.is_time(kind) and not column_types.is_json(declared):
        return _from_times(column, target.in_iso)
    values = _cast(column, target)
    if values is not None:
        return limited(values, column, target) if is_number(target.kind) else same(values)
    if is_number(kind) or pa.types.is_boolean(kind):
        return decode_distinct(column, target)
    return decode_each(plain(column), target)


def plain(column: pa.Array) -> list[object]:
    """Return a column's values as Python's, moments and times as text: Python's have a smaller range."""
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    if is_moment(column.type):
        return spell_moments(column).to_pylist()
    if pa.types.is_time(column.type):
        return column.cast(pa.string()).to_pylist()
    return column.to_pylist(maps_as_pydicts="lossy")


def _cast(column: pa.Array, target: Target) -> pa.Array | None:
    """Return the column of numbers or bools cast to the target, or None if that may lose digits."""
    kind, declared = column.type, target.declared
    if pa.types.is_boolean(kind) and pa.types.is_boolean(declared):
        return column
    if not is_number(kind) or target.written.format:
        return None
    if pa.types.is_integer(declared):
        return try_cast(column, pa.int64())
    if pa.types.is_floating(declared):
        if pa.types.is_decimal(kind):
            return floats(column) if kind.precision <= _SAFE_DIGITS else None
        values = try_cast(column, pa.float64())
        return values if values is not None and all_true(pc.is_finite(values)) else None
    if pa.types.is_decimal(declared):
        if pa.types.is_integer(kind):
            wide = try_cast(column, pa.decimal128(38, declared.scale))
            return try_cast(wide, declared) if wide is not None else None
        return try_cast(column, declared) if pa.types.is_decimal(kind) else None
    is_text = column_types.is_text(declared) and pa.types.is_integer(kind)
    return column.cast(pa.string()) if is_text else None


def _from_times(column: pa.Array, target: Target) -> Cells:
    declared = target.declared
    values = try_cast(column, target.kind) if pa.types.is_time(declared) else None
    if values is not None:
        as_declared = try_cast(values, declared)
        if as_declared is not None and values.equals(as_declared.cast(target.kind)):
            return same(values)
    return decode_distinct(column.cast(pa.string()), target)


def _from_moments(column: pa.Array, target: Target) -> Cells:
    """Convert dates and timestamps; what is not in the declared units or years is looked at one by one."""
    declared = target.declared
    values = None
    if pa.types.is_date(declared):
        values = _midnights(column, target.written.zone)
    elif pa.types.is_timestamp(declared):
        values = _in_units(column, target)
    if values is not None and in_range(values):
        return same(values)
    return decode_distinct(spell_moments(column), target)


def _midnights(column: pa.Array, zone: str) -> pa.Array | None:
    """Return the days, or None if a moment is not midnight in the zone."""
    local = _local(column, zone)
    try:
        days = local.cast(pa.date32())
        return days if all_true(pc.equal(days.cast(local.type), local)) else None
    except pa.ArrowInvalid:
        return None


def _in_units(column: pa.Array, target: Target) -> pa.Array | None:
    """Return the moments in microseconds, or None if they have more digits or an unusual zone."""
    declared, zone = target.declared, target.written.zone
    is_local = not (pa.types.is_timestamp(column.type) and column.type.tz)
    if is_local and declared.tz and zone not in ("", "UTC"):
        return None  # local times that occur twice or never are for Python's zones
    exact = moments(column) if is_local or declared.tz else _local(column, zone)
    in_units = try_cast(exact, pa.timestamp(declared.unit))
    micros = try_cast(in_units, pa.timestamp("us")) if in_units is not None else None
    return micros.cast(target.kind) if micros is not None else None


def _local(column: pa.Array, zone: str) -> pa.Array:
    """Return moments as a clock in the zone shows them; what has no zone is unchanged."""
    if not pa.types.is_timestamp(column.type) or not column.type.tz:
        return column
    return pc.local_timestamp(column.cast(pa.timestamp(column.type.unit, zone or "UTC")))
