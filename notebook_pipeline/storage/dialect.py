"""Say in PostgreSQL's words what is written in those of SQLite: marks, types, globs, columns, functions."""

import itertools
import re
from collections.abc import Mapping
from functools import lru_cache

import pyarrow as pa

# Text is sorted and compared by its bytes, as SQLite does, whatever language the server speaks.
_TYPES = {"TEXT": 'TEXT COLLATE "C"', "INTEGER": "BIGINT", "REAL": "DOUBLE PRECISION"}
_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\?|\b(?:TEXT|INTEGER|REAL)\b""")
ROWS_IN_A_PIECE = 4096
# Reads what text holds as JSON; null for what is none. U+0000, which this server cannot store, is left out.
JSON_FIELD = r"""CREATE OR REPLACE FUNCTION _json_field(object text, field text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT AS $$ BEGIN
        RETURN CAST(regexp_replace(object, '(?<!\\)((\\\\)*)\\u0000', '\1', 'g') AS JSONB) ->> field;
    EXCEPTION WHEN data_exception THEN RETURN NULL;
    END $$"""
# Reads any text of a BIGINT; null for what is none, or too large. It calls no function of ours: an index
# is made with a search path on which there is none.
WHOLE_NUMBER = r"""CREATE OR REPLACE FUNCTION _whole_number(written text) RETURNS BIGINT
    LANGUAGE plpgsql IMMUTABLE STRICT AS $$ BEGIN
        RETURN CAST(substring(written from '^-?[0-9]+$') AS BIGINT);
    EXCEPTION WHEN data_exception THEN RETURN NULL;
    END $$"""


@lru_cache(maxsize=1024)
def numbered(sql: str) -> str:
    """Return SQL with `$1`, `$2`, … for its marks."""
    numbers = itertools.count(1)
    return _TOKENS.sub(lambda token: f"${next(numbers)}" if token[0] == "?" else token[0], sql)


def typed(sql: str) -> str:
    """Return a definition with this server's types."""
    return _TOKENS.sub(lambda token: _TYPES.get(token[0], token[0]), sql)


def stored(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return a column in the type of the table's: COPY in binary converts nothing."""
    kind = column.type
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    return column.cast(pa.float64() if pa.types.is_floating(kind) else pa.string())


def in_pieces(columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """Return a table in small pieces: the server stores one while the driver spells the next."""
    return pa.Table.from_batches(pa.table(columns).to_batches(max_chunksize=ROWS_IN_A_PIECE))


def pattern(glob: str) -> str:
    """Return a glob as a regular expression."""
    parts = re.findall(r"\[\^?\]?[^\]]*\]|.", glob, re.DOTALL)
    return f"^(?:{''.join(map(_sign, parts))})$"


def _sign(part: str) -> str:
    """Return a class of characters, a wildcard or one character as a regular expression."""
    if len(part) > 1:
        return part.replace("\\", "\\\\")
    return {"*": ".*", "?": "."}.get(part) or re.escape(part)
