"""Where a reading starts: the parameters `since` and `overlap`, and a watermark that goes back by an overlap.

A watermark is text in the form of the cursor's type: a day as YYYY-MM-DD, a moment in UTC as
YYYY-MM-DD HH:MM:SS.ffffff, a number as its digits.
"""

import re
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from notebook_pipeline.errors import UsageError

_DURATION = re.compile(r"(\d+) ?(d|h|min|s)")
_UNITS = {"d": "days", "h": "hours", "min": "minutes", "s": "seconds"}
_NUMBER = re.compile(r"-?\d{1,19}")


def as_watermark(since: str, cursor_type: pa.DataType) -> str:
    """Return `since` in the form of a watermark, or "" for everything; raise UsageError if it is neither."""
    try:
        if not since:
            return ""
        if pa.types.is_date(cursor_type):
            return date.fromisoformat(since).isoformat()
        if pa.types.is_timestamp(cursor_type):
            return _spelled(_in_utc(datetime.fromisoformat(since)))
        if _NUMBER.fullmatch(since):
            return str(int(since))
    except (ValueError, OverflowError):
        pass
    raise UsageError(f'`since` must be {_expected(cursor_type)}, or "" for everything, got {since!r}')


def go_back(watermark: str, overlap: str, cursor_type: pa.DataType) -> str:
    """Return a watermark that is earlier by the overlap; a part of a day goes back a whole day.

    Raises UsageError if the overlap does not fit the cursor, or if there is no time so early.
    """
    if not overlap:
        return watermark
    if not (pa.types.is_date(cursor_type) or pa.types.is_timestamp(cursor_type)):
        distance = _distance(overlap)
        return str(int(watermark) - distance) if watermark else ""
    duration = _duration(overlap)
    try:
        if not watermark:
            return ""
        if pa.types.is_date(cursor_type):
            return (
                date.fromisoformat(watermark) + timedelta(days=-duration // timedelta(days=1))
            ).isoformat()
        return _spelled(datetime.fromisoformat(watermark) - duration)
    except OverflowError:
        raise UsageError(
            f"`overlap` is {overlap!r}, but the calendar has no time so long before {watermark}; use less, "
            "or full_sweep = true to read everything"
        ) from None


def _duration(overlap: str) -> timedelta:
    found = _DURATION.fullmatch(overlap.strip())
    if not found:
        raise UsageError(f"`overlap` must be a duration such as 2d, 12h, 15min or 30s, got {overlap!r}")
    try:
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    except (OverflowError, ValueError):
        return timedelta.max


def _distance(overlap: str) -> int:
    if not re.fullmatch(r"\d{1,19}", overlap.strip()):
        raise UsageError(
            f"`overlap` must be a whole number, as the cursor of this dataset is one, got {overlap!r}"
        )
    return int(overlap)


def _in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; one without a zone is in UTC already."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _spelled(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def _expected(cursor_type: pa.DataType) -> str:
    if pa.types.is_date(cursor_type):
        return "a day (YYYY-MM-DD)"
    if pa.types.is_timestamp(cursor_type):
        return "a moment (such as 2025-01-31 or 2025-01-31T12:30:00Z)"
    return "a whole number"


def is_later(watermark: str, other: str, cursor_type: pa.DataType) -> bool:
    """Return True if a watermark is later than another, of which "" is the earliest."""
    if pa.types.is_integer(cursor_type) and watermark and other:
        return int(watermark) > int(other)
    return watermark > other
