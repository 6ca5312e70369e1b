"""The cells of one converted column, and their conversion one by one where they cannot be cast at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract import scalars
from notebook_pipeline.contract.arrow_functions import Mask, mask, pc
from notebook_pipeline.contract.dates_and_times import Written
from notebook_pipeline.contract.decoders import Decode, decoder
from notebook_pipeline.contract.neutral_types import value_type

_FIRST_DAY, _LAST_DAY = -719162, 2932896  # 0001-01-01 and 9999-12-31 as date32
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Breach:
    """The rows of a batch that break one requirement (one bool per row), and the reason for row i."""

    bad: Mask
    reason: Callable[[int], str]


@dataclass(frozen=True)
class Cells:
    """A converted column: `values` for the rules (days as date32), `stored` in the neutral stored type.

    Cells that do not convert are null in both, and marked in `breaches`.
    """

    values: pa.Array
    stored: pa.Array
    breaches: Sequence[Breach] = ()


@dataclass(frozen=True)
class Target:
    """What a column is converted to, and how its source writes it; with `is_text`, as text in a file."""

    declared: pa.DataType
    written: Written
    is_text: bool = True

    @cached_property
    def kind(self) -> pa.DataType:
        """Return the type of the converted values."""
        return value_type(self.declared)

    @cached_property
    def decode(self) -> Decode:
        """Return the function that decodes a single value."""
        return decoder(self.declared, self.written, is_text=self.is_text)

    @property
    def in_iso(self) -> "Target":
        """Return the same target for values in ISO format, whatever is declared."""
        return replace(self, written=replace(self.written, format="")) if self.written.format else self


def same(values: pa.Array) -> Cells:
    """Return cells that are stored as spelled in their values: days and times as text."""
    return Cells(values, stored(values))


def stored(values: pa.Array) -> pa.Array:
    """Return values as they are stored: days and times as ISO text, each distinct one formatted once."""
    if not (pa.types.is_date32(values.type) or pa.types.is_time(values.type)):
        return values
    encoded = values.dictionary_encode()
    return encoded.dictionary.cast(pa.string()).take(encoded.indices)


def decode_each(values: Sequence[object], target: Target) -> Cells:
    """Convert values one by one."""
    found, bad = _decoded(values, target.decode)
    breach = Breach(bad, lambda index: _reason(values[index], target.decode))
    return replace(same(pa.array(found, target.kind)), breaches=[breach])


def decode_distinct(column: pa.Array, target: Target) -> Cells:
    """Convert each distinct value of a column once."""
    encoded = column.dictionary_encode()
    found, bad = _decoded(encoded.dictionary.to_pylist(), target.decode)
    values = pa.array(found, target.kind).take(encoded.indices)
    return replace(
        same(values), breaches=[breach(mask(pa.array(bad).take(encoded.indices)), column, target.decode)]
    )


def decode_odd(column: pa.Array, values: pa.Array, odd: Mask, target: Target) -> Cells:
    """Return the values, in which the cells marked as odd are null, with these converted one by one."""
    found, bad = _decoded(column.filter(pa.array(odd)).to_pylist(), target.decode)
    values = pc.replace_with_mask(values, pa.array(odd), pa.array(found, target.kind))
    rejected = odd.copy()
    rejected[odd] = bad
    return replace(same(values), breaches=[breach(rejected, column, target.decode)])


def breach(bad: Mask, column: pa.Array, decode: Decode) -> Breach:
    """Return the breach of cells that do not decode."""
    return Breach(bad, lambda index: _reason(column[index].as_py(), decode))


def limited(values: pa.Array, column: pa.Array, target: Target) -> Cells:
    """Return cells without those integers and floats that exceed the range of the declared type."""
    declared = target.declared
    if declared in (pa.int64(), pa.float64()) or pa.types.is_decimal(declared):
        return same(values)
    if pa.types.is_integer(declared):
        low, high = scalars.integer_range(declared)
    else:
        high = scalars.LARGEST[declared]
        low = -high
    bad = mask(pc.or_(pc.less(values, low), pc.greater(values, high)))
    if not bad.any():
        return same(values)
    kept = pc.if_else(pa.array(bad), pa.scalar(None, values.type), values)
    return replace(same(kept), breaches=[breach(bad, column, target.decode)])


def in_range(values: pa.Array) -> bool:
    """Return True if all days or moments (in microseconds) are in the years 1 to 9999."""
    is_day = pa.types.is_date32(values.type)
    ends = pc.min_max(values.cast(pa.int32() if is_day else pa.int64()))
    low, high = ends["min"].as_py(), ends["max"].as_py()
    first, end = (_FIRST_DAY, _LAST_DAY + 1) if is_day else (_FIRST_DAY * _DAY_US, (_LAST_DAY + 1) * _DAY_US)
    return low is None or (low >= first and high < end)


def _decoded(values: Sequence[object], decode: Decode) -> tuple[list[object], Mask]:
    """Return the decoded values, None for those that do not decode, and a mask of these."""
    found: list[object] = [None] * len(values)
    bad = np.zeros(len(values), bool)
    for index, value in enumerate(values):
        if value is None:
            continue
        try:
            found[index] = decode(value)
        except scalars.UnfitError:
            bad[index] = True
    return found, bad


def _reason(value: object, decode: Decode) -> str:
    try:
        decode(value)
    except scalars.UnfitError as unfit:
        return f"{scalars.shown(value)} {unfit}"
    raise AssertionError(f"{value!r} fits")
