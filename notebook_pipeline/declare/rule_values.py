"""The values in rules and checks, and which of them a column's type can express."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

import pyarrow as pa

from notebook_pipeline.declare.column_types import has_days, is_json, is_text
from notebook_pipeline.declare.row_conditions import AllowedValues, Bound, Glob, NotInFuture, Pattern, Range
from notebook_pipeline.declare.rules_and_checks import Unique, UsualMix

_WHAT = (
    (pa.types.is_integer, "whole numbers"),
    (pa.types.is_floating, "finite numbers"),
    (pa.types.is_decimal, "decimal numbers with its digits"),
    (pa.types.is_date, "days: a date, or text as YYYY-MM-DD"),
    (pa.types.is_timestamp, "moments: a datetime, a date, or text in ISO format"),
    (pa.types.is_time, "times: a time, or text as HH:MM:SS"),
    (is_text, "texts"),
)


def mismatch(condition: object, kind: pa.DataType) -> str | None:
    """Return what a condition expects of its column, or None if it accepts this type."""
    match condition:
        case Pattern() | Glob():
            return None if is_text(kind) else "a text column"
        case NotInFuture():
            return None if has_days(kind) else "a column of days or moments"
        case AllowedValues(values=values) | UsualMix(values=values):
            if not (is_text(kind) or pa.types.is_integer(kind)):
                return "a column of text or integers"
            return _unfit(values, kind)
        case Range(low=low, high=high):
            return _unfit([bound for bound in (low, high) if bound is not None], kind)
        case Unique():
            return "a column whose values compare" if is_json(kind) else None
    return None


def as_value(bound: Bound, kind: pa.DataType) -> Bound:
    """Return a declared value as the Python value that a column of this type has; moments are in UTC.

    Raises ValueError if the type cannot express the value.
    """
    for is_kind, convert in _CONVERT:
        if is_kind(kind):
            found = convert(bound, kind)
            if found is None:
                break
            return found
    raise ValueError(f"{bound!r} is not a value of {kind}")


def _unfit(values: object, kind: pa.DataType) -> str | None:
    """Return which values a column of this type can be compared with, or None if all can."""
    what = next((words for is_kind, words in _WHAT if is_kind(kind)), None)
    if what is None:
        return "a column with an order: integers, numbers, days, moments, times or text"
    try:
        for value in values:  # type: ignore[attr-defined]
            as_value(value, kind)
    except (ValueError, InvalidOperation):
        return what
    return None


def _integer(bound: Bound, kind: pa.DataType) -> int | None:
    is_number = isinstance(bound, int | float | Decimal)
    return int(bound) if is_number and -(2**63) <= bound < 2**63 and bound == int(bound) else None


def _float(bound: Bound, kind: pa.DataType) -> float | None:
    return float(bound) if isinstance(bound, int | float | Decimal) and abs(bound) < float("inf") else None


def _decimal(bound: Bound, kind: pa.Decimal128Type) -> Decimal | None:
    if not isinstance(bound, int | float | Decimal | str):
        return None
    found = Decimal(repr(bound) if isinstance(bound, float) else bound)
    exact = found.quantize(Decimal(1).scaleb(-kind.scale))
    return exact if exact == found and len(exact.as_tuple().digits) <= kind.precision else None


def _day(bound: Bound, kind: pa.DataType) -> date | None:
    if isinstance(bound, str):
        return date.fromisoformat(bound) if len(bound) == len("YYYY-MM-DD") and bound[4] == "-" else None
    return bound if isinstance(bound, date) and not isinstance(bound, datetime) else None


def _moment(bound: Bound, kind: pa.TimestampType) -> datetime | None:
    if isinstance(bound, str):
        bound = datetime.fromisoformat(bound)
    elif isinstance(bound, date) and not isinstance(bound, datetime):
        bound = datetime(bound.year, bound.month, bound.day)
    if not isinstance(bound, datetime):
        return None
    aware = bound.astimezone(UTC) if bound.tzinfo else bound.replace(tzinfo=UTC)
    return aware if kind.tz else aware.replace(tzinfo=None)


def _time(bound: Bound, kind: pa.DataType) -> time | None:
    bound = time.fromisoformat(bound) if isinstance(bound, str) else bound
    return bound if isinstance(bound, time) and bound.tzinfo is None else None


def _text(bound: Bound, kind: pa.DataType) -> str | None:
    return bound if isinstance(bound, str) else None


_CONVERT: tuple[tuple[Callable[[pa.DataType], bool], Callable], ...] = (
    (pa.types.is_integer, _integer),
    (pa.types.is_floating, _float),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_date, _day),
    (pa.types.is_timestamp, _moment),
    (pa.types.is_time, _time),
    (is_text, _text),
)
