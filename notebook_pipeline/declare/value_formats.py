"""How the days, moments and times of a source are written: a strptime pattern, or a number of an epoch."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa

from notebook_pipeline.declare.column_types import has_days

EPOCHS = {"epoch": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}
"""The formats that count from 1970-01-01 00:00 UTC, and how many of their units make a second."""
EPOCH_DAY = "epoch_day"

# Every part differs from the others, and from the parts that a pattern leaves out.
_PROBE = datetime(2003, 11, 29, 13, 14, 15, 678901)


def is_epoch(written: str) -> bool:
    """Return True if a format means numbers."""
    return written in EPOCHS or written == EPOCH_DAY


def format_objection(written: str, kind: pa.DataType) -> str | None:
    """Return why values of a type cannot have a format, or None if they can."""
    if not has_days(kind) and not pa.types.is_time(kind):
        return f"a column of type {kind} has no format; only days, moments and times have one"
    if written == EPOCH_DAY:
        return None if pa.types.is_date(kind) else f"epoch_day is a format of days, not of {kind}"
    if written in EPOCHS:
        return None if has_days(kind) else f"{written} is a format of moments and days, not of {kind}"
    if "%" not in written:
        return f"expected a strptime pattern such as '%d.%m.%Y', {', '.join(EPOCHS)} or {EPOCH_DAY}"
    return _pattern_objection(written, kind)


def _pattern_objection(pattern: str, kind: pa.DataType) -> str | None:
    try:
        read = datetime.strptime(_PROBE.strftime(pattern), pattern)
    except (ValueError, TypeError) as error:
        return f"Python's datetime.strptime cannot read this pattern: {error}"
    if has_days(kind):
        return None if read.date() == _PROBE.date() else "the pattern does not determine the day"
    is_whole = (read.hour, read.minute) == (_PROBE.hour, _PROBE.minute)
    return None if is_whole else "the pattern does not determine the hour and the minute"


def zone_objection(zone: str, kind: pa.DataType) -> str | None:
    """Return why values of a type cannot be in a time zone, or None if they can."""
    if not has_days(kind):
        return f"a column of type {kind} has no time zone; only moments and days have one"
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, LookupError):
        return "expected a name of the time zone database, such as 'Europe/Berlin'"
    return None
