"""The types of columns of text, as in CSV, from the values seen: one that every value fits, else text."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa

from notebook_pipeline.contract import scalars
from notebook_pipeline.contract.scalars import UnfitError
from notebook_pipeline.discovery import day_formats
from notebook_pipeline.sources.files.number_text import NumberText

NO_VALUE = "no value was seen, so the type is unknown"
NO_OFFSET = (
    'moments without an offset are taken as UTC; if they are not, add zone="Europe/Berlin" or the like'
)
MOMENT = pa.timestamp("us", "UTC")
_TRUTH = {"true", "false"}
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]|\+")
_INTEGER = re.compile(r"-?[0-9]+")
_DAY_NUMBER = re.compile(r"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")
_SECONDS = range(1_000_000_000, 4_100_000_000)


@dataclass(frozen=True)
class SeenType:
    """A type and a format that all values seen fit, and what a person must decide about them."""

    type: pa.DataType
    format: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Return True if nothing but text fits."""
        return self.type == pa.string()


def type_of_texts(texts: Sequence[str], notation: NumberText) -> SeenType:
    """Return the type of a column from its distinct values, of which none is null."""
    if not texts:
        return SeenType(pa.string(), remarks=(NO_VALUE,))
    if {text.lower() for text in texts} <= _TRUTH:
        return SeenType(pa.bool_())
    return type_of_numbers(texts, notation) or type_of_days(texts)


def type_of_numbers(texts: Sequence[str], notation: NumberText) -> SeenType | None:
    """Return the type of a column of numbers in this notation, or None if it is not one."""
    plain = plain_numbers(texts, notation)
    if plain is None:
        return None
    if all(map(_INTEGER.fullmatch, plain)):
        if not all(_converts(text, pa.int64()) for text in plain):
            return None
        return SeenType(pa.int64(), remarks=_remarks_on_integers(plain))
    return SeenType(pa.float64()) if all(_converts(text, pa.float64()) for text in plain) else None


def plain_numbers(texts: Sequence[str], notation: NumberText) -> list[str] | None:
    """Return numbers in plain digits, or None if a text is not a number, or a code with leading zeros."""
    if any(map(_LEADING_ZERO.match, texts)):
        return None
    if notation.is_plain:
        return [*texts] if all(map(_is_number, texts)) else None
    plain, wrong = notation.plain(pa.array(texts, pa.string()))
    return None if wrong.any() else plain.to_pylist()


def type_of_days(texts: Sequence[str]) -> SeenType:
    """Return the type of a column of days, moments or times, or text if it is none of these."""
    if day_formats.is_day(texts):
        return SeenType(pa.date32())
    if day_formats.is_moment(texts):
        return SeenType(MOMENT, remarks=() if all(map(day_formats.has_offset, texts)) else (NO_OFFSET,))
    if day_formats.is_time(texts):
        return SeenType(pa.time64("us"))
    if patterns := day_formats.day_patterns(texts):
        return _by_pattern(pa.date32(), patterns, texts)
    if patterns := day_formats.moment_patterns(texts):
        return _by_pattern(MOMENT, patterns, texts)
    return SeenType(pa.string())


def _by_pattern(kind: pa.DataType, patterns: Sequence[str], texts: Collection[str]) -> SeenType:
    first, *others = patterns
    if others:
        what = "pa.date32()" if kind == pa.date32() else 'pa.timestamp("us", "UTC")'
        either = " or ".join(f'format="{pattern}"' for pattern in patterns)
        example = next(iter(texts))
        return SeenType(pa.string(), remarks=(f"is {example!r} a day? Then declare {what}, {either}",))
    years = ("the years have two digits: 69 to 99 mean 1969 to 1999",) if "%y" in first else ()
    return SeenType(kind, first, (*years, *([NO_OFFSET] if kind == MOMENT else [])))


def _remarks_on_integers(texts: Sequence[str]) -> tuple[str, ...]:
    if all(map(_DAY_NUMBER.fullmatch, texts)):
        return ('are these days? Then declare pa.date32(), format="%Y%m%d"',)
    numbers = [int(text) for text in texts]
    for unit, factor in (("epoch", 1), ("epoch_ms", 1_000), ("epoch_us", 1_000_000)):
        if all(number // factor in _SECONDS for number in numbers):
            return (f'are these moments? Then declare pa.timestamp("us", "UTC"), format="{unit}"',)
    return ()


def _is_number(text: str) -> bool:
    return scalars.number_in(text) is not None


def _converts(text: str, kind: pa.DataType) -> bool:
    convert = scalars.whole_number if kind == pa.int64() else scalars.number
    try:
        convert(text, kind)
    except UnfitError:
        return False
    return True
