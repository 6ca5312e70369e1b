"""The text of a CSV file in blocks of whole rows, whose lines are known."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from notebook_pipeline.errors import DataRefused
from notebook_pipeline.sources.files.row_splitter import Rows, RowSplitter
from notebook_pipeline.sources.files.text_stream import TextStream

BLOCK = 4 << 20
LONGEST_ROW = 64 << 20

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r(?!\Z))")


@dataclass(frozen=True)
class Block:
    """Whole rows, and the number of lines in the file before them."""

    text: bytes
    rows: Rows
    lines_before: int

    def filled(self) -> np.ndarray:
        """Return the indexes of the rows that are neither empty nor comments."""
        first = np.frombuffer(self.text, np.uint8)[self.rows.starts]
        kept = (first != ord("\n")) & (first != ord("\r"))
        kept[[*self.rows.comments]] = False
        return np.flatnonzero(kept)

    def row(self, index: int) -> bytes:
        """Return a row without its line end."""
        return self.text[self.rows.starts[index] : self.rows.ends[index]].rstrip(b"\r\n")

    def line(self, index: int) -> int:
        """Return the number of the line in the file, from 1, on which a row begins."""
        return self.lines_before + self.rows.line(int(self.rows.starts[index])) + 1


def row_blocks(
    stream: TextStream, splitter: RowSplitter, name: str, *, skip_lines: int, size: int
) -> Iterator[Block]:
    """Yield the rows of a text after its first `skip_lines` lines, about `size` bytes at a time.

    Raises DataRefused if a row is longer than the limit, or if the file ends within a quoted value.
    """
    pending = _after_lines(stream, skip_lines, name)
    line, more = skip_lines, size
    while True:
        chunk = stream.read(more)
        text = pending + chunk
        rows = splitter.split(text, is_last=not chunk)
        if rows.end:
            lines = rows.line(rows.end)
            yield Block(text[: rows.end], rows, line)
            line += lines
            pending, more = text[rows.end :], size
        else:
            # A long row is looked at again only when it has doubled.
            pending, more = text, max(size, len(text))
        if len(pending) > LONGEST_ROW:
            raise _too_long(name, line + 1, len(pending))
        if not chunk:
            if pending:
                raise _unclosed(name, line + 1, splitter.seems_escaped(pending))
            return


def _after_lines(stream: TextStream, skip_lines: int, name: str) -> bytes:
    """Return the text that was read beyond the first lines."""
    text = b""
    for _ in range(skip_lines):
        while not (found := _LINE.match(text)):
            chunk = stream.read(1 << 16)
            if not chunk:
                return b""
            text += chunk
            if len(text) > LONGEST_ROW:
                raise _too_long(name, 1, len(text))
        text = text[found.end() :]
    return text


def _too_long(name: str, line: int, size: int) -> DataRefused:
    return DataRefused(
        f"{name}, line {line}: found a row of more than {size:,} bytes, expected at most {LONGEST_ROW:,} "
        f"({LONGEST_ROW >> 20} MB); write the file with shorter rows"
    )


def _unclosed(name: str, line: int, seems_escaped: bool) -> DataRefused:
    if seems_escaped:
        return escape_not_declared(name, line)
    return DataRefused(
        f"{name}, line {line}: the file ends within a quoted value of the row that begins here; fetch or "
        "write it again, or close the quote; if quotes are characters like others, declare Files(quote='')"
    )


def escape_not_declared(name: str, line: int) -> DataRefused:
    """Return the error for a backslash that escapes a quote although no escape is declared."""
    return DataRefused(
        f"{name}, line {line}: found a quote behind a backslash within a quoted value; if the backslash is "
        "an escape in this file, declare Files(escape='\\\\'), else double the quote"
    )
