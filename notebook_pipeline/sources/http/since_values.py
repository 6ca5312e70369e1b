"""The value of an API's filter, written from a watermark as the API expects it."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from notebook_pipeline.declare.api_declarations import Since
from notebook_pipeline.errors import UsageError

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"-?\d+")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{6}")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND, _MILLISECOND, _MICROSECOND = (
    timedelta(seconds=1),
    timedelta(milliseconds=1),
    timedelta(microseconds=1),
)


def filter_value(watermark: str, since: Since) -> str:
    """Return the value of the parameter that selects the rows from a watermark on, the watermark included.

    The watermark is a day (YYYY-MM-DD), a moment (YYYY-MM-DD HH:MM:SS.ffffff, UTC) or a whole number. If the
    filter excludes its value, the value is one unit earlier.
    """
    if since.form == "number" or _NUMBER.fullmatch(watermark):
        value = _number(watermark, since)
    elif since.form == "day":
        value = _day(watermark, since)
    else:
        value = _moment(watermark, since)
    return since.template.replace("{}", value)


def _number(watermark: str, since: Since) -> str:
    if since.form != "number" or not _NUMBER.fullmatch(watermark):
        raise UsageError(
            f"the API's filter {since.param!r} has the form {since.form!r}, which does not fit the cursor "
            f"{watermark!r}; set `form` of the Since to {_fitting(watermark)}"
        )
    return str(int(watermark) - (not since.inclusive))


def _day(watermark: str, since: Since) -> str:
    if _DAY.fullmatch(watermark):
        day = date.fromisoformat(watermark)
    else:
        day = _parsed(watermark).astimezone(ZoneInfo(since.zone)).date()
    if not since.inclusive and day > date.min:
        day -= timedelta(days=1)
    return day.isoformat()


def _moment(watermark: str, since: Since) -> str:
    zone = ZoneInfo(since.zone)
    if _DAY.fullmatch(watermark):
        moment = datetime.fromisoformat(watermark).replace(tzinfo=zone).astimezone(UTC)
    else:
        moment = _parsed(watermark)
    unit = {"epoch": _SECOND, "epoch_ms": _MILLISECOND}.get(since.form, _MICROSECOND)
    if since.form != "timestamp":
        return str((moment - _EPOCH) // unit - (not since.inclusive))
    if not since.inclusive:
        moment -= unit
    return _timestamp(moment, zone)


def _timestamp(moment: datetime, zone: ZoneInfo) -> str:
    """Return a moment in ISO 8601, with fractions of seconds only if there are some."""
    shown = moment.astimezone(zone)
    text = shown.replace(tzinfo=None).isoformat()
    return f"{text}Z" if zone.key == "UTC" else shown.isoformat()


def _parsed(watermark: str) -> datetime:
    if not _MOMENT.fullmatch(watermark):
        raise UsageError(
            f"found the watermark {watermark!r}; expected a day (YYYY-MM-DD), a moment "
            "(YYYY-MM-DD HH:MM:SS.ffffff) or a whole number"
        )
    return datetime.fromisoformat(watermark).replace(tzinfo=UTC)


def _fitting(watermark: str) -> str:
    return "'number'" if _NUMBER.fullmatch(watermark) else "'day', 'timestamp', 'epoch' or 'epoch_ms'"
