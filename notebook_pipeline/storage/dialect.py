"""Translation of SQLite's dialect to PostgreSQL's: parameters, globs, columns, functions."""

import itertools
import re
from collections.abc import Mapping
from functools import lru_cache

import pyarrow as pa

_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\?""")
ROWS_IN_A_PIECE = 4096
# Reads a field of a JSON text; null if it is not JSON. U+0000, which PostgreSQL cannot store, is removed.
JSON_FIELD = r"""CREATE OR REPLACE FUNCTION _json_field(object text, field text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT AS $$ BEGIN
        RETURN CAST(regexp_replace(object, '(?<!\\)((\\\\)*)\\u0000', '\1', 'g') AS JSONB) ->> field;
    EXCEPTION WHEN data_exception THEN RETURN NULL;
    END $$"""
# Reads a BIGINT written as text; null if it is not an integer or too large. It must not call a function of
# this package: an index is created with a search path that does not include them.
WHOLE_NUMBER = r"""CREATE OR REPLACE FUNCTION _whole_number(written text) RETURNS BIGINT
    LANGUAGE plpgsql IMMUTABLE STRICT AS $$ BEGIN
        RETURN CAST(substring(written from '^-?[0-9]+$') AS BIGINT);
    EXCEPTION WHEN data_exception THEN RETURN NULL;
    END $$"""

# Writes a text as a JSON string. PostgreSQL's own functions for that cannot stand in an index, because of
# types other than text, whose form depends on settings.
JSON_STRING = r"""CREATE OR REPLACE FUNCTION _json_string(written text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT AS $$ BEGIN
        RETURN CAST(to_json(written) AS TEXT);
    END $$"""


@lru_cache(maxsize=1024)
def numbered(sql: str) -> str:
    """Return SQL with `$1`, `$2`, … in place of its `?`."""
    numbers = itertools.count(1)
    return _TOKENS.sub(lambda token: f"${next(numbers)}" if token[0] == "?" else token[0], sql)


def stored(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return a column cast to the type of the table's: a binary COPY does not convert types."""
    kind = column.type
    sent = (pa.types.is_boolean, pa.types.is_decimal, pa.types.is_timestamp, pa.types.is_binary)
    if any(is_kind(kind) for is_kind in sent):
        return column
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    return column.cast(pa.float64() if pa.types.is_floating(kind) else pa.string())


def in_pieces(columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """Return a table in small batches: the server stores one while the driver encodes the next."""
    return pa.Table.from_batches(pa.table(columns).to_batches(max_chunksize=ROWS_IN_A_PIECE))


def pattern(glob: str) -> str:
    """Return a glob as a regular expression."""
    parts = re.findall(r"\[\^?\]?[^\]]*\]|.", glob, re.DOTALL)
    return f"^(?:{''.join(map(_sign, parts))})$"


def _sign(part: str) -> str:
    """Return a character class, a wildcard or one character as a regular expression."""
    if len(part) > 1:
        return part.replace("\\", "\\\\")
    return {"*": ".*", "?": "."}.get(part) or re.escape(part)
