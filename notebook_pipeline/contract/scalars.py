"""Single values: what counts as a whole number, a number, a truth value or text, whatever the source.

A value converts if no digit is lost. In text, a number is digits with an optional sign, point and exponent
("7", "+007", "7.0", ".5", "1e3", never " 7", "1_000" or "0x7"). Text is UTF-8 without NUL characters.
"""

import math
import re
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache

import orjson
import pyarrow as pa

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,5})?", re.ASCII)
_LONGEST_NUMBER = 1_000
_LONGEST_SHOWN = 80
_TRUTH: dict[object, bool] = {"true": True, "false": False, "1": True, "0": False}
LARGEST = {pa.float16(): 65504.0, pa.float32(): 3.4028234663852886e38, pa.float64(): math.inf}


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


def whole_number(value: object, declared: pa.DataType) -> int:
    """Return a value as an integer in the range of the declared type, or raise UnfitError."""
    number = number_in(value)
    if number is None or not _is_whole(number):
        raise UnfitError("is not a whole number")
    low, high = integer_range(declared)
    if low <= number <= high:
        return int(number)
    if declared == pa.int64():
        raise UnfitError("does not fit into 64 bits")
    ends = f"starts at {low:,}" if number < low else f"ends at {high:,}"
    raise UnfitError(f"does not fit into {declared}, which {ends}")


def _is_whole(number: float | Decimal) -> bool:
    if isinstance(number, Decimal):
        return number.is_finite() and number == number.to_integral_value()
    return isinstance(number, int) or number.is_integer()


@cache
def integer_range(declared: pa.DataType) -> tuple[int, int]:
    """Return the lowest and the highest value that a column of an integer type stores."""
    if pa.types.is_signed_integer(declared):
        return -(2 ** (declared.bit_width - 1)), 2 ** (declared.bit_width - 1) - 1
    return 0, min(2**declared.bit_width, 2**63) - 1


def number(value: object, declared: pa.DataType) -> float:
    """Return a value as a finite float in the range of the declared type, or raise UnfitError."""
    found = number_in(value)
    if found is None:
        raise UnfitError("is not a number")
    try:
        near = float(found)
    except OverflowError:
        near = math.inf
    if not math.isfinite(near):
        raise UnfitError("is not a finite number of 64 bits")
    if abs(near) > LARGEST[declared]:
        raise UnfitError(f"does not fit into {declared}, which ends at {LARGEST[declared]:g}")
    if not isinstance(found, float) and not _keeps_digits(near, Decimal(found)):
        raise UnfitError("has more digits than a number of 64 bits keeps; declare a decimal128 or a text")
    return near


def _keeps_digits(near: float, exact: Decimal) -> bool:
    """Return True if the float, written with as many digits as the number has, is the number."""
    digits = len(exact.as_tuple().digits)
    # Every number of 15 digits comes back from a float of the usual range.
    if digits <= 15 and abs(near) > 1e-290:
        return True
    # The shortest number that names a float may end in another digit than the float cut at this length.
    return exact in (Decimal(repr(near)), Decimal(f"{near:.{max(digits, 1) - 1}e}"))


def decimal(value: object, declared: pa.Decimal128Type) -> Decimal:
    """Return a value as a decimal with the declared digits, or raise UnfitError; nothing is rounded."""
    found = number_in(value)
    if found is None or not math.isfinite(found):
        raise UnfitError("is not a number")
    exact = Decimal(repr(found)) if isinstance(found, float) else Decimal(found)
    try:
        kept = exact.quantize(Decimal(1).scaleb(-declared.scale)) if exact else Decimal(0)
    except InvalidOperation:
        kept = None
    if kept is None or kept != exact or len(kept.as_tuple().digits) > declared.precision:
        raise UnfitError(
            f"has too many digits: at most {declared.precision - declared.scale} before the point and "
            f"{declared.scale} after it fit"
        )
    return kept


def truth(value: object) -> bool:
    """Return a value as a bool, or raise UnfitError: true and false in any case, 1 and 0."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal) and value in (0, 1):
        return bool(value)
    found = _TRUTH.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise UnfitError("is not a truth value (true, false, 1 or 0)")
    return found


def text(value: object) -> str:
    """Return a value as text, or raise UnfitError; a number becomes its digits."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _digits(value)
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


def binary(value: object) -> bytes:
    """Return a value as bytes, those of text in UTF-8, or raise UnfitError."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise UnfitError("is neither bytes nor text")
    try:
        return value.encode()
    except UnicodeError:
        raise UnfitError("is not UTF-8 text") from None


def number_in(value: object) -> int | float | Decimal | None:
    """Return the number that a value is or spells, or None if it is none; a bool is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | Decimal):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and _NUMBER.fullmatch(value):
        return int(value) if value.isdigit() else Decimal(value)
    return None


def _digits(value: float | Decimal) -> str:
    """Return a number in plain digits: a float that is whole without a point, any other as JSON writes it."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnfitError("is not a finite number")
        whole = value.is_integer() and abs(value) < 2**53
        return str(int(value)) if whole else orjson.dumps(value).decode()
    return str(value)
