"""Days, moments and times as sources write them: in ISO format, by a pattern, or as numbers of an epoch.

A moment has an offset, or is in the zone that its column declares, else in UTC. In that zone, a local time
that a clock shows twice means the first; one that it skips is counted on from the time before the gap. A day
is a calendar day in the years 1 to 9999; a moment is a day if it is midnight in the column's zone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo

from notebook_pipeline.contract.scalars import UnfitError, number_in
from notebook_pipeline.declare.value_formats import EPOCH_DAY, EPOCHS, is_epoch

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
_OFFSET = r" ?(?P<offset>[Zz]|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)"
_MOMENT = re.compile(rf"(?P<day>{_DAY.pattern})[Tt ]{_TIME}(?:{_OFFSET})?")
_CLOCK = re.compile(_TIME)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS = 1_000_000
_MOST_DECIMALS = 6
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}

NOT_A_DAY = "is not a day (YYYY-MM-DD)"
NOT_A_MOMENT = "is not a moment (YYYY-MM-DD HH:MM:SS, with or without an offset)"
NOT_A_TIME = "is not a time (HH:MM:SS)"


@dataclass(frozen=True)
class Written:
    """How a source writes a column: its format, "" for ISO, and the zone of moments without an offset.

    With `or_iso`, ISO format is read as well: a kept row of a typed file is written in it.
    """

    format: str = ""
    zone: str = ""
    or_iso: bool = False

    @property
    def tz(self) -> tzinfo:
        """Return the time zone."""
        return _zone(self.zone) if self.zone else UTC


ISO = Written()


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def day(value: object, written: Written = ISO) -> date:
    """Return a value as a date, or raise UnfitError."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if written.format == EPOCH_DAY and not _is_iso(value, written):
        return _epoch_day(value)
    try:
        found = _parsed(value, written)
    except UnfitError as unfit:
        raise UnfitError(NOT_A_DAY if str(unfit) == NOT_A_MOMENT else str(unfit)) from None
    local = _within(lambda: found.astimezone(written.tz)) if found.tzinfo else found
    if local.time() != time():
        where = f" in {written.zone or 'UTC'}" if found.tzinfo else ""
        raise UnfitError(f"{NOT_A_DAY}: it is not midnight{where}")
    return local.date()


def moment(value: object, written: Written = ISO, *, unit: str = "us") -> datetime:
    """Return a value as a moment in UTC, in whole units, or raise UnfitError."""
    found = _whole(_parsed(value, written), unit)
    aware = found if found.tzinfo else found.replace(tzinfo=written.tz)
    return _within(lambda: aware.astimezone(UTC))


def local_moment(value: object, written: Written = ISO, *, unit: str = "us") -> datetime:
    """Return a value as the time on a clock in the column's zone, in whole units, or raise UnfitError."""
    found = _whole(_parsed(value, written), unit)
    return _within(lambda: found.astimezone(written.tz).replace(tzinfo=None)) if found.tzinfo else found


def clock_time(value: object, written: Written = ISO, *, unit: str = "us") -> time:
    """Return a value as a time of day in whole units, or raise UnfitError."""
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    found = value if isinstance(value, time) and value.tzinfo is None else None
    if isinstance(value, str) and written.format and not (match and _is_iso(value, written)):
        found = _by_pattern(value, written.format).time()
    elif match:
        found = _clock(match)
    if found is None:
        raise UnfitError(NOT_A_TIME)
    return _whole(datetime.combine(date.min, found), unit).time()


def _parsed(value: object, written: Written) -> datetime:
    """Return a value as a datetime, with a zone if the value has an offset."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if written.format and not _is_iso(value, written):
        if is_epoch(written.format):
            return _since_epoch(value, written.format)
        if not isinstance(value, str):
            raise UnfitError(f"is not text of the declared format {written.format}")
        return _by_pattern(value, written.format)
    if isinstance(value, str) and _DAY.fullmatch(value):
        return datetime.combine(_calendar(value), time())
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise UnfitError(NOT_A_MOMENT)
    return datetime.combine(_calendar(match["day"]), _clock(match), _offset(match["offset"]))


def _is_iso(value: object, written: Written) -> bool:
    """Return True if a value is in ISO format although its column declares another one, which comes first."""
    if not (written.or_iso and isinstance(value, str)):
        return False
    if not is_epoch(written.format):
        try:
            _by_pattern(value, written.format)
        except UnfitError:
            pass
        else:
            return False
    return any(form.fullmatch(value) for form in (_DAY, _MOMENT, _CLOCK))


def _calendar(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UnfitError("is not a calendar date") from None


def _clock(match: re.Match[str]) -> time:
    fraction = (match["fraction"] or "").rstrip("0")
    if len(fraction) > _MOST_DECIMALS:
        raise UnfitError("has digits beyond microseconds, which are not stored")
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    try:
        return time(hour, minute, second, int(fraction.ljust(_MOST_DECIMALS, "0")))
    except ValueError:
        raise UnfitError("is not a time of day") from None


def _offset(text: str | None) -> tzinfo | None:
    if text is None or text in ("Z", "z", "UTC"):
        return UTC if text else None
    hours, minutes = int(text[1:3]), int(text[3:].removeprefix(":") or 0)
    if hours > 23 or minutes > 59:
        raise UnfitError("has an offset that is not one")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def _by_pattern(text: str, pattern: str) -> datetime:
    try:
        return datetime.strptime(text, pattern)
    except ValueError:
        raise UnfitError(f"does not have the declared format {pattern}") from None


def _since_epoch(value: object, unit: str) -> datetime:
    number = number_in(value)
    if number is None:
        raise UnfitError(f"is not a number of {unit}")
    micros = _exact(number) * (_MICROSECONDS // EPOCHS[unit])
    if micros != micros // 1:
        raise UnfitError("has digits beyond microseconds, which are not stored")
    return _within(lambda: _EPOCH + timedelta(microseconds=int(micros)))


def _epoch_day(value: object) -> date:
    number = number_in(value)
    if number is None or _exact(number) % 1:
        raise UnfitError(f"is not a whole number of {EPOCH_DAY}")
    return _within(lambda: _EPOCH.replace(tzinfo=None) + timedelta(days=int(number))).date()


def _exact(number: float | Decimal) -> Decimal:
    exact = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    if not exact.is_finite() or abs(exact) > 10**18:
        raise UnfitError("is not in the years 1 to 9999")
    return exact


def _whole(found: datetime, unit: str) -> datetime:
    if found.microsecond % _UNITS[unit]:
        raise UnfitError(f"has more digits than its column, which counts in {unit}")
    return found


def _within(compute: Callable[[], datetime]) -> datetime:
    try:
        return compute()
    except (OverflowError, ValueError):
        raise UnfitError("is not in the years 1 to 9999") from None
