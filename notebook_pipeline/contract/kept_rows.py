"""Received rows that are kept: each row is written as JSON, and read again.

A row of a file is written so that it means the same when it is read again. Numbers are JSON numbers, decimals
with all their digits. Values that JSON cannot express are written as objects: bytes that are not UTF-8 as
{"base64": …}, floats that are not finite as {"number": "NaN"}, "Infinity" or "-Infinity". Values nested
deeper than `DEEPEST` levels are replaced by a note.
"""

import base64
import json
import math
from collections.abc import Sequence
from decimal import Decimal

import orjson
import pyarrow as pa

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.json_values import DEEPEST, LONE_SURROGATE, parse_number
from notebook_pipeline.contract.typed_columns import plain


def spell(raw: RawBatch, rows: Sequence[int]) -> list[str]:
    """Return rows of a batch as JSON, in the given order."""
    if raw.columns is None or raw.columns is raw.typed:
        return [to_json(raw.received[row]) for row in rows]
    taken = raw.columns.take(pa.array(rows, pa.int64()))
    columns = [_plain(column) for column in taken.columns]
    return [
        to_json(dict(zip(taken.schema.names, values, strict=True))) for values in zip(*columns, strict=True)
    ]


def to_json(value: object) -> str:
    """Return a received value as JSON."""
    return orjson.dumps(_spelled(value), default=str).decode()


def from_json(text: str) -> object:
    """Return the value that `to_json` wrote; objects that stand for bytes or floats stay objects."""
    return json.loads(text, parse_float=parse_number)


def decoded(value: object) -> object:
    """Return the bytes or the float that an object of `to_json` stands for, and any other value unchanged."""
    match value:
        case {"base64": str(content), **rest} if not rest:
            return base64.b64decode(content)
        case {"number": "NaN" | "Infinity" | "-Infinity" as word, **rest} if not rest:
            return float(word)
    return value


def _spelled(value: object, depth: int = 0) -> object:
    """Return a value that orjson writes correctly: it refuses large integers, and writes NaN as null."""
    match value:
        case dict() | list() | tuple() if depth == DEEPEST:
            return f"<nested deeper than {DEEPEST} levels>"
        case dict():
            return {name: _spelled(inner, depth + 1) for name, inner in value.items()}
        case list() | tuple():
            return [_spelled(inner, depth + 1) for inner in value]
        case bytes():
            return _text(value)
        case float() if not math.isfinite(value):
            return {"number": json.dumps(value)}
        case Decimal():
            return orjson.Fragment(str(value))
        case str() if LONE_SURROGATE.search(value):
            return orjson.Fragment(json.dumps(value))
        case int() if value.bit_length() > 63:
            return orjson.Fragment(str(value))
    return value


def _text(content: bytes) -> object:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _plain(column: pa.Array) -> list[object]:
    """Return a column's values for JSON."""
    try:
        return plain(column)
    except (ArithmeticError, ValueError):  # a date outside Python's range, nested in an undeclared column
        return [f"<{column.type}>"] * len(column)
