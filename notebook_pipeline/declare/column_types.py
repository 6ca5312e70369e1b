"""Which Arrow types a column may be declared as, and which of them order or identify rows."""

import pyarrow as pa

# SQLite stores a decimal as a 64-bit float, which gives this many digits back exactly.
MOST_DIGITS = 15

ALLOWED = (
    "pa.int8() to pa.int64(), pa.uint8() to pa.uint64(), pa.float16() to pa.float64(), pa.bool_(), "
    f"pa.decimal128(p, s) with p up to {MOST_DIGITS}, pa.date32(), pa.timestamp('us', 'UTC'), "
    "pa.timestamp('us'), pa.time64('us'), pa.string(), pa.binary(), pa.json_()"
)


def is_json(kind: pa.DataType) -> bool:
    """Return True if a type is Arrow's JSON."""
    return isinstance(kind, pa.JsonType)


def type_name(kind: pa.DataType) -> str:
    """Return the name under which a type is shown; Arrow's own of JSON is not one that is declared."""
    return "json" if is_json(kind) else str(kind)


def is_text(kind: pa.DataType) -> bool:
    """Return True if a type is one of the two text types that may be declared."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def is_binary(kind: pa.DataType) -> bool:
    """Return True if a type is one of the two types of bytes that may be declared."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def objection(kind: pa.DataType) -> str | None:
    """Return why a column cannot be declared as a type, or None if it can."""
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return f"{kind} counts nanoseconds, which are not stored; use pa.timestamp('us', …)"
    if pa.types.is_time(kind) and kind.unit == "ns":
        return f"{kind} counts nanoseconds, which are not stored; use pa.time64('us')"
    if pa.types.is_decimal128(kind):
        return _objection_to_digits(kind)
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_date32)
    more = (pa.types.is_timestamp, pa.types.is_time, is_text, is_binary, is_json)
    if any(test(kind) for test in (*plain, *more)):
        return None
    return f"{kind} is not a type that can be stored; use one of {ALLOWED}"


def _objection_to_digits(kind: pa.Decimal128Type) -> str | None:
    if kind.precision > MOST_DIGITS:
        return (
            f"{kind} has {kind.precision} digits, and SQLite keeps {MOST_DIGITS} exactly; declare at most "
            f"{MOST_DIGITS} digits, or pa.string() to keep the number as text"
        )
    if not 0 <= kind.scale <= kind.precision:
        return f"{kind} has the scale {kind.scale}; expected 0 to {kind.precision}, its number of digits"
    return None


def can_be_key(kind: pa.DataType) -> bool:
    """Return True if values of a type identify rows: they compare exactly, and no two look alike."""
    return not (pa.types.is_floating(kind) or is_binary(kind) or is_json(kind))


def can_be_cursor(kind: pa.DataType) -> bool:
    """Return True if values of a type order the versions of a row: a day, a moment or a number."""
    is_moment = pa.types.is_timestamp(kind) and kind.tz == "UTC"
    return is_moment or pa.types.is_date(kind) or pa.types.is_integer(kind)


def has_days(kind: pa.DataType) -> bool:
    """Return True if values of a type fall on a day of the calendar."""
    return pa.types.is_date(kind) or pa.types.is_timestamp(kind)
