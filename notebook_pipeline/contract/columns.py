"""The conversion of received columns to stored ones, which also finds the cells that do not convert.

Whole columns are cast at once; only if that fails are the failed cells looked for (see scalars.py for which
values are valid).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract import scalars
from notebook_pipeline.contract.arrow_functions import (
    Mask,
    all_true,
    is_moment,
    is_number,
    is_text,
    mask,
    moments,
    pc,
    spell_moments,
    text_bytes,
    try_cast,
)
from notebook_pipeline.errors import UsageError

Convert = Callable[[object], object]

_FIRST_DAY, _LAST_DAY = -719162, 2932896  # 0001-01-01 and 9999-12-31 as date32
_SAFE_DIGITS = 18  # a number of this many digits fits into 64 bits


@dataclass(frozen=True)
class Breach:
    """The rows of a batch that break one requirement (one bool per row), and the reason for row i."""

    bad: Mask
    reason: Callable[[int], str]


@dataclass(frozen=True)
class Cells:
    """A converted column: `values` for the rules (days as date32), `stored` for the database.

    Cells that do not convert are null in both, and marked in `breaches`.
    """

    values: pa.Array
    stored: pa.Array
    breaches: Sequence[Breach] = ()


def stored_type(declared: pa.DataType) -> pa.DataType:
    """Return the type that a declared column is stored in, or raise UsageError."""
    if declared not in _CONVERTERS:
        raise UsageError(f"a column cannot be declared as {declared}; use {', '.join(map(str, _CONVERTERS))}")
    return pa.string() if pa.types.is_date(declared) else declared


def can_convert(received: pa.DataType, declared: pa.DataType) -> bool:
    """Return True if cells of a type may convert: text may, lists never do."""
    if pa.types.is_dictionary(received):
        return can_convert(received.value_type, declared)
    if is_text(received) or pa.types.is_null(received) or pa.types.is_floating(received):
        return True  # a column without values is often written as floats
    return is_moment(received) if pa.types.is_date(declared) else is_number(received) and is_number(declared)


def from_column(column: pa.Array, declared: pa.DataType) -> Cells:
    """Convert one column of a file; text is parsed."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text(column.type):
        return _from_text(column, declared)
    if pa.types.is_date32(declared) and is_moment(column.type):
        return _from_moments(column)
    comparable = (is_number(column.type) and is_number(declared)) or pa.types.is_null(column.type)
    values = try_cast(column, declared) if comparable else None
    if values is not None and (not pa.types.is_floating(declared) or all_true(pc.is_finite(values))):
        return Cells(values, _stored(values))
    return _convert_singly(column.to_pylist(), declared)


def from_values(values: Sequence[object], declared: pa.DataType, *, from_text: bool = False) -> Cells:
    """Convert one column of parsed JSON values; with `from_text`, numbers may be text."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {int} and declared == pa.int64():
        try:
            return _same(pa.array(values, declared))
        except OverflowError:
            pass  # converted one by one below
    if kinds <= {str, bytes} and (from_text or declared in (pa.string(), pa.date32())):
        try:
            return _from_text(pa.array(values, pa.binary() if bytes in kinds else pa.string()), declared)
        except UnicodeEncodeError:
            pass
    return _convert_singly(values, declared, from_text=from_text)


def _convert_singly(values: Sequence[object], declared: pa.DataType, *, from_text: bool = False) -> Cells:
    """Convert cells one by one."""
    convert = _CONVERTERS[declared]
    if from_text and declared in (pa.int64(), pa.float64()):
        convert = partial(convert, from_text=True)
    found, breach = _convert_each(values, convert)
    array = pa.array(found, declared)
    return Cells(array, _stored(array), [breach])


def _from_moments(column: pa.Array) -> Cells:
    """Convert dates and timestamps; a timestamp other than midnight (UTC) is not a day."""
    days = moments(column).cast(pa.date32())
    if all_true(pc.equal(days.cast(moments(column).type), moments(column))) and _in_range(days):
        return Cells(days, _stored(days))
    return _parse_days(spell_moments(column))


def _from_text(column: pa.Array, declared: pa.DataType) -> Cells:
    text, breaches = _utf8(column)
    parsed = _PARSERS[declared](text)
    return replace(parsed, breaches=(*breaches, *parsed.breaches))


def _utf8(column: pa.Array) -> tuple[pa.Array, Sequence[Breach]]:
    """Return the column as text, with null for cells that are not UTF-8, and a breach that marks those."""
    received = column.cast(pa.binary())
    text = try_cast(received, pa.string())
    if text is not None:
        return text, ()
    # ASCII is always valid; of the other cells each distinct value is decoded.
    bad = mask(pc.invert(pc.string_is_ascii(received.view(pa.string()))))
    bad[bad] = _convert_distinct(received.filter(pa.array(bad)), _decoded, pa.string())[1]
    kept = pc.if_else(pa.array(bad), pa.scalar(None, pa.binary()), received)
    return kept.cast(pa.string()), [_breach(bad, received, _decoded)]


def _decoded(value: object) -> str:
    try:
        return bytes.decode(value)  # type: ignore[arg-type]
    except UnicodeDecodeError:
        raise scalars.UnfitError("is not UTF-8 text") from None


def _parse_text(text: pa.Array) -> Cells:
    if not (text_bytes(text) == 0).any():
        return _same(text)
    bad = mask(pc.match_substring(text, "\0"))
    kept = pc.if_else(pa.array(bad), pa.scalar(None, pa.string()), text)
    return Cells(kept, kept, [_breach(bad, text, scalars.text)])


def _parse_integers(text: pa.Array) -> Cells:
    # Arrow reads "0x1F" as 31; every character of a decimal number sorts before ":".
    values = try_cast(text, pa.int64())
    if values is not None and not (text_bytes(text) > ord("9")).any():
        return _same(values)
    plain = pc.and_(pc.ascii_is_decimal(text), pc.less_equal(pc.binary_length(text), _SAFE_DIGITS))
    return _parse_odd(text, plain, pa.int64())


def _parse_numbers(text: pa.Array) -> Cells:
    # Arrow also reads "nan" and "inf"; this pattern matches finite numbers only.
    return _parse_odd(text, pc.match_substring_regex(text, r"\A-?[0-9]{1,17}(\.[0-9]+)?\z"), pa.float64())


def _parse_odd(text: pa.Array, plain: pa.Array, declared: pa.DataType) -> Cells:
    """Cast the cells in plain notation at once, and convert the others one by one."""
    odd = mask(pc.invert(plain))
    values = pc.if_else(plain, text, pa.scalar(None, pa.string())).cast(declared)
    convert = partial(_CONVERTERS[declared], from_text=True)
    found, breach = _convert_each(text.filter(pa.array(odd)).to_pylist(), convert)
    values = pc.replace_with_mask(values, pa.array(odd), pa.array(found, declared))
    bad = odd.copy()
    bad[odd] = breach.bad
    return Cells(values, values, [_breach(bad, text, convert)])


def _parse_days(text: pa.Array) -> Cells:
    values = try_cast(text, pa.date32())
    if values is not None and _in_range(values):
        return Cells(values, text)
    values, bad = _convert_distinct(text, scalars.day, pa.date32())
    stored = pc.if_else(pa.array(bad), pa.scalar(None, pa.string()), text)
    return Cells(values, stored, [_breach(bad, text, scalars.day)])


_PARSERS: dict[pa.DataType, Callable[[pa.Array], Cells]] = {
    pa.int64(): _parse_integers,
    pa.float64(): _parse_numbers,
    pa.date32(): _parse_days,
    pa.string(): _parse_text,
}
_CONVERTERS: dict[pa.DataType, Callable[..., object]] = {
    pa.int64(): scalars.whole_number,
    pa.float64(): scalars.number,
    pa.date32(): scalars.day,
    pa.string(): scalars.text,
}


def _same(array: pa.Array) -> Cells:
    return Cells(array, array)


def _stored(values: pa.Array) -> pa.Array:
    """Return values as they are stored: days as ISO text, each distinct day formatted once."""
    if not pa.types.is_date32(values.type):
        return values
    encoded = values.dictionary_encode()
    return encoded.dictionary.cast(pa.string()).take(encoded.indices)


def _convert_each(values: Sequence[object], convert: Convert) -> tuple[list[object], Breach]:
    """Convert values one by one; return the results (None if a value does not convert) and the breach."""
    found: list[object] = [None] * len(values)
    bad = np.zeros(len(values), bool)
    for index, value in enumerate(values):
        if value is None:
            continue
        try:
            found[index] = convert(value)
        except scalars.UnfitError:
            bad[index] = True
    return found, Breach(bad, lambda index: _reason(values[index], convert))


def _convert_distinct(column: pa.Array, convert: Convert, declared: pa.DataType) -> tuple[pa.Array, Mask]:
    """Convert each distinct value once; return the results, and a mask of cells that do not convert."""
    encoded = column.dictionary_encode()
    found, breach = _convert_each(encoded.dictionary.to_pylist(), convert)
    return pa.array(found, declared).take(encoded.indices), mask(pa.array(breach.bad).take(encoded.indices))


def _breach(bad: Mask, column: pa.Array, convert: Convert) -> Breach:
    return Breach(bad, lambda index: _reason(column[index].as_py(), convert))


def _reason(value: object, convert: Convert) -> str:
    try:
        convert(value)
    except scalars.UnfitError as unfit:
        return f"{scalars.shown(value)} {unfit}"
    raise AssertionError(f"{value!r} fits")


def _in_range(days: pa.Array) -> bool:
    ends = pc.min_max(days.cast(pa.int32()))
    low, high = ends["min"].as_py(), ends["max"].as_py()
    return low is None or (low >= _FIRST_DAY and high <= _LAST_DAY)
