"""The formats in which texts write days, moments and times: those that every value of a column fits."""

from collections.abc import Callable, Sequence
from datetime import datetime

from notebook_pipeline.contract.dates_and_times import clock_time, day, moment
from notebook_pipeline.contract.scalars import UnfitError

_DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y"),
    *("%b %d, %Y", "%B %d, %Y", "%d. %B %Y"),
)
_CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
_MOMENTS = tuple(
    f"{day}{between}{clock}" for day in _DAYS for between in (" ", ", ", "T") for clock in _CLOCKS
)
_ISO_DAY = len("YYYY-MM-DD")
_FIRST = 20  # values that rule out most formats, before all are looked at


def is_day(texts: Sequence[str]) -> bool:
    """Return True if every text is a day in ISO format."""
    return all(len(text) == _ISO_DAY for text in texts) and _all_are(texts, day)


def is_moment(texts: Sequence[str]) -> bool:
    """Return True if every text is a moment in ISO format."""
    return all(len(text) > _ISO_DAY for text in texts) and _all_are(texts, moment)


def is_time(texts: Sequence[str]) -> bool:
    """Return True if every text is a time of day."""
    return _all_are(texts, clock_time)


def has_offset(text: str) -> bool:
    """Return True if a moment in ISO format says its offset from UTC."""
    clock = text[_ISO_DAY:]
    return clock.endswith(("Z", "z", "UTC")) or "+" in clock or "-" in clock


def day_patterns(texts: Sequence[str]) -> list[str]:
    """Return the patterns of days, other than ISO, that every text fits."""
    return _fitting(texts, _DAYS)


def moment_patterns(texts: Sequence[str]) -> list[str]:
    """Return the patterns of moments, other than ISO, that every text fits."""
    return _fitting(texts, _MOMENTS)


def _fitting(texts: Sequence[str], patterns: Sequence[str]) -> list[str]:
    for some in (texts[:_FIRST], texts):
        patterns = [pattern for pattern in patterns if all(_fits(text, pattern) for text in some)]
    return list(patterns)


def _fits(text: str, pattern: str) -> bool:
    try:
        datetime.strptime(text, pattern)
    except ValueError:
        return False
    return True


def _all_are(texts: Sequence[str], read: Callable[[object], object]) -> bool:
    try:
        for text in texts:
            read(text)
    except UnfitError:
        return False
    return True
