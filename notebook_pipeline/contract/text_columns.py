"""The conversion of columns of text, as in CSV: cast at once where possible, else by distinct value."""

from dataclasses import replace

import pyarrow as pa

from notebook_pipeline.contract import scalars
from notebook_pipeline.contract.arrow_functions import all_true, mask, pc, text_bytes, try_cast
from notebook_pipeline.contract.cells import (
    Breach,
    Cells,
    Target,
    breach,
    decode_distinct,
    decode_odd,
    in_range,
    limited,
    same,
)
from notebook_pipeline.declare import column_types

_SAFE_DIGITS = 18  # a number of this many digits fits into 64 bits
_NO_TEXT = pa.scalar(None, pa.string())
_NO_BYTES = pa.scalar(None, pa.binary())
# Arrow also reads "nan" and "inf"; this pattern matches finite numbers only.
_NUMBER = r"\A-?[0-9]{1,17}(\.[0-9]{1,17})?\z"
# A sign, a point and at most 15 digits, all of which a float keeps.
_SAFE_LENGTH = 16
_DECIMAL = r"\A[+-]?[0-9]{1,30}(\.[0-9]+)?\z"
# Arrow also reads hours without minutes.
_WITH_MINUTES = r"\A.{13}:"


def from_text(column: pa.Array, target: Target) -> Cells:
    """Convert a column of text or bytes."""
    if column_types.is_binary(target.declared):
        return same(column.cast(pa.binary()))
    text, breaches = _utf8(column)
    parsed = _parsed(text, target)
    return replace(parsed, breaches=(*breaches, *parsed.breaches))


def _parsed(text: pa.Array, target: Target) -> Cells:
    declared = target.declared
    if column_types.is_text(declared):
        return _text(text, target)
    if pa.types.is_integer(declared):
        return _integers(text, target)
    if pa.types.is_floating(declared):
        return _numbers(text, target)
    if pa.types.is_decimal(declared):
        return _decimals(text, target)
    if not target.written.format and pa.types.is_date(declared):
        return _days(text, target)
    if not target.written.format and pa.types.is_timestamp(declared):
        return _moments(text, target)
    return decode_distinct(text, target)


def _utf8(column: pa.Array) -> tuple[pa.Array, list[Breach]]:
    """Return the column as text, with null for cells that are not UTF-8, and a breach that marks those."""
    received = column.cast(pa.binary())
    text = try_cast(received, pa.string())
    if text is not None:
        return text, []
    # ASCII is always valid; of the other cells each distinct value is decoded.
    bad = mask(pc.invert(pc.string_is_ascii(received.view(pa.string()))))
    suspects = received.filter(pa.array(bad)).dictionary_encode()
    invalid = pa.array([not _is_utf8(value) for value in suspects.dictionary.to_pylist()], pa.bool_())
    bad[bad] = mask(invalid.take(suspects.indices))
    kept = pc.if_else(pa.array(bad), _NO_BYTES, received)
    return kept.cast(pa.string()), [breach(bad, received, scalars.text)]


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(text: pa.Array, target: Target) -> Cells:
    if not (text_bytes(text) == 0).any():
        return same(text)
    bad = mask(pc.match_substring(text, "\0"))
    kept = pc.if_else(pa.array(bad), _NO_TEXT, text)
    return Cells(kept, kept, [breach(bad, text, target.decode)])


def _integers(text: pa.Array, target: Target) -> Cells:
    # Arrow reads "0x1F" as 31; every character of a decimal number sorts before ":".
    values = try_cast(text, pa.int64())
    if values is not None and not (text_bytes(text) > ord("9")).any():
        return limited(values, text, target)
    plain = pc.and_(pc.ascii_is_decimal(text), pc.less_equal(pc.binary_length(text), _SAFE_DIGITS))
    return _cast_plain(text, plain, target)


def _numbers(text: pa.Array, target: Target) -> Cells:
    if target.declared != pa.float64():
        return decode_distinct(text, target)
    plain = pc.match_substring_regex(text, _NUMBER)
    short = pc.less_equal(pc.binary_length(text), _SAFE_LENGTH)
    if not all_true(pc.or_(short, pc.invert(plain))):
        # A longer number keeps its digits if it is what the float is written as.
        near = pc.if_else(plain, text, _NO_TEXT).cast(pa.float64())
        plain = pc.and_kleene(plain, pc.or_(short, pc.equal(near.cast(pa.string()), text)))
    return _cast_plain(text, plain, target)


def _cast_plain(text: pa.Array, plain: pa.Array, target: Target) -> Cells:
    """Cast the cells in plain notation at once, and convert the others one by one."""
    values = pc.if_else(plain, text, _NO_TEXT).cast(target.kind)
    odd = mask(pc.invert(plain))
    if pa.types.is_integer(target.declared) and target.declared != pa.int64():
        low, high = scalars.integer_range(target.declared)
        odd |= mask(pc.or_(pc.less(values, low), pc.greater(values, high)))
    return decode_odd(text, values, odd, target)


def _decimals(text: pa.Array, target: Target) -> Cells:
    if all_true(pc.match_substring_regex(text, _DECIMAL)):
        values = try_cast(text, target.declared)
        if values is not None:
            return same(values)
    return decode_distinct(text, target)


def _days(text: pa.Array, target: Target) -> Cells:
    values = try_cast(text, pa.date32())
    return Cells(values, text) if values is not None and in_range(values) else decode_distinct(text, target)


def _moments(text: pa.Array, target: Target) -> Cells:
    declared, zone = target.declared, target.written.zone
    if zone in ("", "UTC") and all_true(pc.match_substring_regex(text, _WITH_MINUTES)):
        values = try_cast(text, pa.timestamp("us", "UTC"))
        if values is None:
            values = try_cast(text, pa.timestamp("us"))
        is_whole = values is not None and try_cast(values, pa.timestamp(declared.unit)) is not None
        if values is not None and is_whole and in_range(values):
            return same(values.cast(target.kind))
    return decode_distinct(text, target)
