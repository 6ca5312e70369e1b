"""Single values: what counts as a whole number, a number, a day or text, whatever the source.

In text, a whole number is digits with an optional minus sign ("7" and "007", never "7.0", "+7", " 7" or
"0x7"); elsewhere it is any integral number of 64 bits. A day is a calendar day in the years 1 to 9999:
YYYY-MM-DD in text, elsewhere a date or a midnight (UTC). Text is UTF-8 without NUL characters.
"""

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST_SHOWN = 80


class UnfitError(ValueError):
    """The reason why a value does not convert, such as "is not a whole number", to follow the value."""


def shown(value: object) -> str:
    """Return a value as a reason shows it, truncated if it is long."""
    try:
        text = value.isoformat() if isinstance(value, date) else repr(value)
    except RecursionError:
        text = f"<a {type(value).__name__} nested too deeply>"
    text = str(value) if isinstance(value, Decimal) else text
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def whole_number(value: object, *, from_text: bool = False) -> int:
    """Return a value as a 64-bit integer, or raise UnfitError."""
    if from_text and isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) <= 1000:
        value = int(value)
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnfitError("is not a whole number")
    if not -(2**63) <= value < 2**63:
        raise UnfitError("does not fit into 64 bits")
    return value


def number(value: object, *, from_text: bool = False) -> float:
    """Return a value as a finite float, or raise UnfitError."""
    if from_text and isinstance(value, str) and _NUMBER.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise UnfitError("is not a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise UnfitError("is not a finite number of 64 bits")
    return found


def day(value: object) -> date:
    """Return a value as a date, or raise UnfitError."""
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        if moment.time() == datetime.min.time():
            return moment.date()
    elif isinstance(value, date):
        return value
    elif isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise UnfitError("is not a calendar date") from None
    raise UnfitError("is not a day (YYYY-MM-DD)")


def text(value: object) -> str:
    """Return a value as text, or raise UnfitError."""
    try:
        found = value.decode() if isinstance(value, bytes) else value
        if not isinstance(found, str):
            raise UnfitError("is not text")
        found.encode()  # a lone surrogate, which JSON can contain, is not valid text
    except UnicodeError:
        raise UnfitError("is not UTF-8 text") from None
    if "\0" in found:
        raise UnfitError("contains a NUL character")
    return found
