"""CSV files: the header, and the rows as text in batches.

Nothing is guessed: every column is text, and the declaration says how fields are separated, quoted and
escaped, and which texts are null. A row's position is the line of the file on which it begins. Empty lines
are not rows.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.sources.files import row_blocks
from notebook_pipeline.sources.files.csv_header import Header, fields_of, not_a_header
from notebook_pipeline.sources.files.csv_rows import Parsed, RowParser
from notebook_pipeline.sources.files.row_blocks import Block
from notebook_pipeline.sources.files.row_splitter import RowSplitter
from notebook_pipeline.sources.files.text_stream import TextStream, open_text

_ROWS = 85_000  # a batch has at most about this many rows
_LOOKED_AT = 100  # rows that must have a trailing delimiter for all to have one
_FIRST = 1 << 16  # bytes read at once to find the header


@dataclass(frozen=True)
class CsvFile:
    """A CSV file on this machine and how it is written; `declared` names its columns if it has no header."""

    path: Path
    name: str
    compression: str | None
    files: Files
    delimiter: str
    declared: Sequence[str]
    max_bytes: float

    def open(self) -> AbstractContextManager[TextStream]:
        """Open the file's text."""
        return open_text(self.path, self.name, self.compression, self.files.encoding, self.max_bytes)

    def blocks(self, stream: TextStream, size: int) -> Iterator[Block]:
        """Yield the rows of the open file, about `size` bytes at a time."""
        splitter = RowSplitter(self.files, self.delimiter)
        return row_blocks.row_blocks(stream, splitter, self.name, skip_lines=self.files.skip_lines, size=size)


def read_header(file: CsvFile) -> Header:
    """Return the column names of a CSV file; there are none if it has no row."""
    first = _first_rows(file, _LOOKED_AT + file.files.header)
    if not file.files.header:
        return Header(file.declared, _are_longer(file, first, len(file.declared)))
    if not first:
        return Header([])
    line, row = first[0]
    try:
        names = fields_of(row, file.files, file.delimiter)
    except ValueError:
        raise not_a_header(file.name, line, row, file.files.encoding) from None
    return Header(names, _are_longer(file, first[1:], len(names)))


def read_rows(file: CsvFile, header: Header, numbers: Sequence[str]) -> Iterator[RawBatch]:
    """Yield the rows of a CSV file; the columns in `numbers` hold numbers in the declared notation.

    Columns without a name, or whose name others have, are left out. Raises PipelineError if the file is
    damaged, or cannot be split into rows.
    """
    parser = RowParser(file.name, file.files, file.delimiter, header, numbers)
    has_header = file.files.header
    with file.open() as stream:
        for block in file.blocks(stream, row_blocks.BLOCK):
            first = next(iter(block.filled().tolist()), None) if has_header else None
            has_header = has_header and first is None
            parsed = parser.parse(block, stream, {first} if first is not None else set())
            yield from _batches(parsed, block, file.name, stream.share)


def _first_rows(file: CsvFile, count: int) -> list[tuple[int, bytes]]:
    """Return the first rows that are neither empty nor comments, each with its line."""
    with file.open() as stream:
        blocks = file.blocks(stream, _FIRST)
        rows = ((block.line(index), block.row(index)) for block in blocks for index in block.filled())
        return list(islice(rows, count))


def _are_longer(file: CsvFile, rows: Sequence[tuple[int, bytes]], names: int) -> bool:
    """Return True if each of some rows has one field more than there are names, and that is empty."""
    return bool(rows) and all(_is_longer(file, row, names) for _, row in rows)


def _is_longer(file: CsvFile, row: bytes, names: int) -> bool:
    """Return True if a row has one field more than there are names, and that one is empty."""
    try:
        fields = fields_of(row, file.files, file.delimiter)
    except ValueError:
        return False
    return len(fields) == names + 1 and not fields[-1]


def _batches(parsed: Parsed, block: Block, name: str, share: float) -> Iterator[RawBatch]:
    """Yield parsed rows in batches of like size; the malformed rows come with the first."""
    malformed, rows = parsed.malformed, parsed.batch.num_rows
    if not rows and not malformed:
        return
    count = max(1, -(-rows // _ROWS))
    for first, end in pairwise(rows * end // count for end in range(count + 1)):
        position = partial(_position, name, block, parsed.indexes[first:end])
        yield RawBatch(parsed.batch.slice(first, end - first), position, malformed, share)
        malformed = ()


def _position(name: str, block: Block, indexes: np.ndarray, row: int) -> str:
    return f"{name}:{block.line(int(indexes[row]))}"
