"""JSON as values: one that is not standard, or that would lose digits, does not spoil the others."""

import gc
import json
import re
from decimal import Decimal

import orjson

from notebook_pipeline.contract.json_values import parse_number

BOM = b"\xef\xbb\xbf"

_NEAR = 20
# orjson reads larger integers as floats.
_LONG_INTEGER = re.compile(rb"[0-9]{19}")
_MOST_DIGITS = 4_000  # Python converts no longer integers


def parse(body: bytes, *, exactly: bool = False) -> object:
    """Return the value of JSON in UTF-8, or None if it is not JSON.

    `exactly` keeps all digits of numbers with a fraction, at a tenth of the usual speed.

    NaN, Infinity, lone surrogates and bytes that are not UTF-8 (as lone surrogates) are kept for the
    contract, which rejects the rows that contain them in a declared column.
    """
    # Everything created here stays in use until the page is done: garbage collection would find nothing, and
    # would take as long as the parsing itself.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _parse(body.removeprefix(BOM), exactly=exactly)
    finally:
        if was_enabled:
            gc.enable()


def _parse(body: bytes, *, exactly: bool) -> object:
    try:
        if not exactly and not _LONG_INTEGER.search(body):
            return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        text, read_float = body.decode("utf-8", "surrogateescape"), parse_number if exactly else float
        return json.loads(text, parse_int=_integer, parse_float=read_float)
    except (ValueError, RecursionError):
        return None


def error_in(body: bytes) -> str:
    """Return where and why a body is not JSON, in parentheses after a space, or "" if it is JSON."""
    try:
        orjson.loads(body.removeprefix(BOM))
    except orjson.JSONDecodeError as error:
        near = error.doc[max(error.pos - _NEAR, 0) : error.pos + _NEAR]
        return f" ({error.msg}{f', near {near!r}' if near else ''})"
    return ""


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < _MOST_DIGITS else Decimal(text)
