"""JSON columns: a value as canonical JSON text, compact and with sorted keys, so that equal values are equal.

Numbers keep their digits. What PostgreSQL's jsonb cannot hold is refused: NaN, infinities, U+0000 and lone
surrogates in text, and numbers of more than `MOST_DIGITS` digits.
"""

import json
import math
import re
from datetime import date, datetime, time
from decimal import Decimal

import orjson

from notebook_pipeline.contract.scalars import UnfitError

MOST_DIGITS = 1_000
# orjson writes at most 254 levels, and Python's recursion is limited as well.
DEEPEST = 200

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_number(text: str) -> float | Decimal:
    """Return a number as a float if it is written exactly like this, else as a Decimal."""
    found = float(text)
    return found if orjson.dumps(found) == text.encode() else Decimal(text)


def canonical(value: object) -> str:
    """Return a value as canonical JSON, or raise UnfitError."""
    return orjson.dumps(_fit(value), option=orjson.OPT_SORT_KEYS).decode()


def canonical_text(value: object) -> str:
    """Return JSON text as canonical JSON, any other value as `canonical` does, or raise UnfitError."""
    return canonical(_parsed(value) if isinstance(value, str | bytes) else value)


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text, parse_float=parse_number, parse_constant=_refuse)
    except UnfitError:
        raise
    except (ValueError, RecursionError):
        raise UnfitError("is not JSON") from None


def _refuse(word: str) -> None:
    raise UnfitError(f"contains {word}, which is not JSON")


def _fit(value: object, depth: int = 0) -> object:
    """Return a value that orjson writes with all digits, or raise UnfitError."""
    match value:
        case None | bool():
            return value
        case dict() | list() | tuple() if depth == DEEPEST:
            raise UnfitError(f"is nested deeper than {DEEPEST} levels")
        case dict():
            if not all(isinstance(name, str) for name in value):
                raise UnfitError("contains a key that is not text")
            return {_text(name): _fit(inner, depth + 1) for name, inner in value.items()}
        case list() | tuple():
            return [_fit(inner, depth + 1) for inner in value]
        case str():
            return _text(value)
        case float() if not math.isfinite(value):
            raise UnfitError("contains a number that is not finite")
        case int():
            return value if value.bit_length() <= 63 else orjson.Fragment(_digits(Decimal(value)))
        case float():
            return value
        case Decimal():
            return _number(value)
        case datetime() | date() | time():
            return value.isoformat()
    raise UnfitError(f"contains {type(value).__name__}, which JSON does not have")


def _number(number: Decimal) -> object:
    """Return a number as a float if that is written with the same digits, else as a fragment."""
    digits = _digits(number)
    near = Decimal(repr(float(number)))
    is_same = near == number and near.as_tuple().digits == number.as_tuple().digits
    return float(number) if is_same else orjson.Fragment(digits)


def _digits(number: Decimal) -> str:
    if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
        raise UnfitError(f"contains a number of more than {MOST_DIGITS:,} digits, or one that is not finite")
    return str(number)


def _text(value: str) -> str:
    if "\0" in value:
        raise UnfitError("contains a NUL character")
    if LONE_SURROGATE.search(value):
        raise UnfitError("contains text that is not UTF-8")
    return value
