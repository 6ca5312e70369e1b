"""JSON files: one object a line (JSON Lines), or one list of objects; lines that are not JSON are malformed.

A row's position is the line of the file, or in a list its number, from 1.
"""

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path

import orjson

from notebook_pipeline.contract.batch import Malformed, RawBatch
from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.sources.files.row_blocks import BLOCK, Block, row_blocks
from notebook_pipeline.sources.files.row_splitter import RowSplitter
from notebook_pipeline.sources.files.text_stream import TextStream, open_text

LONGEST_LIST = 512 << 20

_ROWS = 65_536  # a batch has at most about this many rows
_FIRST = 1 << 18  # bytes in which the fields are looked for
_FIRST_ROWS = 1_000
# Of numbers with more digits, orjson may lose some.
_LONG_NUMBER = re.compile(rb"[0-9.]{16}")
_UNQUOTED = Files(quote="")


def read_fields(path: Path, name: str, compression: str | None, max_bytes: float) -> list[str]:
    """Return the names of the fields in the first rows of a JSON file."""
    fields: dict[str, None] = {}
    batches = read_rows(path, name, compression, max_bytes, size=_FIRST)
    for batch in islice(batches, 1):
        for row in batch.received[:_FIRST_ROWS]:
            fields |= dict.fromkeys(row) if isinstance(row, dict) else {}
    return list(fields)


def read_rows(
    path: Path, name: str, compression: str | None, max_bytes: float, *, size: int = BLOCK
) -> Iterator[RawBatch]:
    """Yield the rows of a JSON file, about `size` bytes at a time; a list is read at once.

    Raises PipelineError if the file is damaged, or is a list that is not complete.
    """
    with open_text(path, name, compression, "utf-8", max_bytes) as stream:
        if _is_list(path, name, compression, max_bytes):
            yield from _list_rows(stream, name)
            return
        splitter = RowSplitter(_UNQUOTED, "\0")
        for block in row_blocks(stream, splitter, name, skip_lines=0, size=size):
            yield _lines(block, name, stream.share)


def _is_list(path: Path, name: str, compression: str | None, max_bytes: float) -> bool:
    with open_text(path, name, compression, "utf-8", max_bytes) as stream:
        while chunk := stream.read(1 << 16).lstrip():
            return chunk.startswith(b"[")
    return False


def _list_rows(stream: TextStream, name: str) -> Iterator[RawBatch]:
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(BLOCK):
        pieces.append(piece)
        size += len(piece)
        if size > LONGEST_LIST:
            raise DataRefused(
                f"{name}: found a JSON list of more than {LONGEST_LIST >> 20} MB, expected a shorter one; "
                "write large files with one JSON object a line (.jsonl)"
            )
    try:
        rows = _value(b"".join(pieces))
    except ValueError as error:
        raise DataRefused(
            f"{name}: found a JSON list that is not valid: {error}; write the file again"
        ) from None
    if not isinstance(rows, list):
        raise DataRefused(f"{name}: found no JSON list, expected one; write the file again")
    ends = [*range(0, len(rows), _ROWS), len(rows)]
    for first, end in pairwise(ends):
        yield RawBatch(rows[first:end], _numbered(name, first), share=end / len(rows))


def _numbered(name: str, first: int):
    return lambda row: f"{name}:{first + row + 1}"


def _lines(block: Block, name: str, share: float) -> RawBatch:
    """Return the lines of a block as one batch."""
    indexes = [index for index in block.filled().tolist() if block.row(index).strip()]
    lines = [block.row(index) for index in indexes]
    values: Sequence[object]
    malformed: list[Malformed] = []
    try:
        values = _values(lines)
    except ValueError:
        values, kept = [], []
        for index, line in zip(indexes, lines, strict=True):
            try:
                values.append(_value(line))
                kept.append(index)
            except ValueError as error:
                malformed.append(Malformed(f"{name}:{block.line(index)}", line, f"is not JSON: {error}"))
        indexes = kept
    return RawBatch(values, lambda row: f"{name}:{block.line(indexes[row])}", malformed, share)


def _values(lines: Sequence[bytes]) -> list[object]:
    """Return the values of lines, or raise ValueError if one is not JSON."""
    values = _value(b"[" + b",".join(lines) + b"]")
    # A line that ends a list or holds two values is not JSON by itself.
    if not isinstance(values, list) or len(values) != len(lines) or not all(map(_is_object, lines)):
        raise ValueError("a line is not one object")
    return values


def _is_object(line: bytes) -> bool:
    line = line.strip()
    return line.startswith(b"{") and line.endswith(b"}")


def _value(text: bytes) -> object:
    """Return the value of JSON with all digits of its numbers, or raise ValueError."""
    if not _LONG_NUMBER.search(text):
        return orjson.loads(text)
    return json.loads(text, parse_float=_number, parse_constant=_refuse)


def _number(text: str) -> float | Decimal:
    """Return a number as a float if that has the same digits, else as a Decimal."""
    found = float(text)
    return found if repr(found) == text else Decimal(text)


def _refuse(constant: str) -> object:
    raise ValueError(f"found {constant}, which is no JSON number")
