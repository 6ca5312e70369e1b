"""The rows of a block of CSV as columns of text, and the rows that cannot be split into fields."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from notebook_pipeline.contract.arrow_functions import mask, pc
from notebook_pipeline.contract.batch import Malformed
from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.sources.files.csv_header import Header, fields_of
from notebook_pipeline.sources.files.number_text import NumberText
from notebook_pipeline.sources.files.row_blocks import Block, escape_not_declared
from notebook_pipeline.sources.files.row_splitter import RowSplitter
from notebook_pipeline.sources.files.text_stream import TextStream, is_valid

Fields = Mapping[str, str | None]

_REPLACED = "\ufffd"  # what stands for bytes that are not text
_TRAILING = "\0"  # the column behind a trailing delimiter


@dataclass(frozen=True)
class Parsed:
    """The rows of a block: the good ones as columns, their indexes in the block, and the malformed ones."""

    batch: pa.RecordBatch
    indexes: np.ndarray
    malformed: Sequence[Malformed]


class RowParser:
    """A parser of one file's blocks; `numbers` are the columns with numbers in the declared notation."""

    def __init__(
        self, name: str, files: Files, delimiter: str, header: Header, numbers: Sequence[str]
    ) -> None:
        self._name = name
        self._files = files
        self._splitter = RowSplitter(files, delimiter)
        self._delimiter = delimiter
        self._escape = files.text_escape.encode()
        self._width = len(header.names)
        self._trailing = header.trailing
        counts = Counter(header.names)
        self._kept = [one for one in header.names if one and counts[one] == 1]
        self._columns = [one if one in self._kept else f"\0{place}" for place, one in enumerate(header.names)]
        self._numbers = [one for one in numbers if one in self._kept]
        self._notation = NumberText(files.decimal, files.thousands)

    def parse(self, block: Block, stream: TextStream, leave_out: set[int]) -> Parsed:
        """Parse a block except for the rows in `leave_out`, such as the header."""
        bad = self._not_text(block, stream)
        bad |= {index: self._stray(block, index) for index in block.rows.stray - leave_out - bad.keys()}
        given = np.setdiff1d(block.filled(), [*leave_out, *bad], assume_unique=True)
        batch, wrong = self._columns_of(self._unescaped(_text(block, given)))
        for index, reason in wrong.items():
            hint = "; is the backslash an escape? Declare Files(escape='\\\\')"
            seems_escaped = self._splitter.seems_escaped(block.row(int(given[index])))
            bad[int(given[index])] = reason + (hint if seems_escaped else "")
        given = np.delete(given, [*wrong])
        fields = {index: self._legible(block.row(index)) for index in bad}
        batch, given = self._plain_numbers(*self._without_trailing(batch, given, bad), bad, fields)
        malformed = [
            Malformed(
                f"{self._name}:{block.line(index)}",
                stream.original(block.row(index)),
                bad[index],
                fields.get(index, {}),
            )
            for index in sorted(bad)
        ]
        return Parsed(batch, given, malformed)

    def _not_text(self, block: Block, stream: TextStream) -> dict[int, str]:
        """Return the reason for each row that has bytes that are not valid in the file's encoding."""
        if is_valid(block.text):
            return {}
        bad = {}
        for index in range(len(block.rows.ends)):
            if not (row := block.row(index)).isascii() and (found := _invalid(row, stream)):
                bad[index] = f"found {found}, which is not valid in {self._files.encoding}"
        return bad

    def _legible(self, row: bytes) -> Fields:
        """Return the values of a row without those that are not text, or none if they are too few or many."""
        if not self._notation.is_plain:
            return {}
        try:
            values = fields_of(row.decode("utf-8", "replace").encode(), self._files, self._delimiter)
        except ValueError:
            return {}
        if len(values) != len(self._columns) + self._trailing:
            return {}
        found = dict(zip(self._columns, values, strict=False))
        return {one: found[one] for one in self._kept if _REPLACED not in found[one]}

    def _stray(self, block: Block, index: int) -> str:
        """Return the reason for a row with text behind a closing quote; raise DataRefused if rows hide."""
        row, line = block.row(index), block.line(index)
        if self._splitter.seems_escaped(row):
            raise escape_not_declared(self._name, line)
        if b"\n" in row or b"\r" in row:
            raise DataRefused(
                f"{self._name}, line {line}: found text behind the closing quote of a value of several "
                "lines, which may hide other rows; close the quote, or double each quote within the value"
            )
        return "text follows a closing quote; a quote within a quoted value must be doubled"

    def _unescaped(self, text: bytes) -> bytes:
        """Double each escape that escapes nothing, such as in \\N: Arrow would drop it."""
        if not self._escape or self._escape not in text:
            return text
        special = (self._escape, self._files.quote.encode(), self._delimiter.encode(), b"\r", b"\n")

        def kept(found: re.Match[bytes]) -> bytes:
            return found[0] if found[1] in special and found[1] else self._escape + found[0]

        return re.sub(re.escape(self._escape) + rb"(.?)", kept, text, flags=re.DOTALL)

    def _columns_of(self, text: bytes) -> tuple[pa.RecordBatch, dict[int, str]]:
        """Return rows as columns, and the reasons for those with another number of fields, by their index."""
        wrong: dict[int, str] = {}

        def skip(row: arrow_csv.InvalidRow) -> str:
            wrong[row.number - 1] = self._wrong_width(row.actual_columns)
            return "skip"

        wanted = [*self._kept, *([_TRAILING] if self._trailing else [])]
        if not text:
            return pa.RecordBatch.from_pylist([], pa.schema([(one, pa.string()) for one in wanted])), wrong
        names = [*self._columns, *([_TRAILING] if self._trailing else [])]
        table = arrow_csv.read_csv(
            pa.py_buffer(text),
            # Arrow knows the numbers of bad rows only when it reads with one thread, and one block.
            arrow_csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
            arrow_csv.ParseOptions(
                delimiter=self._delimiter,
                quote_char=self._files.quote or False,
                escape_char=self._escape.decode() or False,
                newlines_in_values=True,
                invalid_row_handler=skip,
            ),
            arrow_csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=wanted,
                null_values=list(self._files.nulls),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
        batches = table.combine_chunks().to_batches()
        empty = pa.RecordBatch.from_pylist([], table.schema)
        return batches[0] if batches else empty, wrong

    def _wrong_width(self, fields: int) -> str:
        if self._trailing and fields == self._width:
            return f"{fields} fields, but every row before has {fields + 1}"
        expected = f"{self._width} columns are declared"
        return (
            f"{fields} fields, but {'the header has ' + str(self._width) if self._files.header else expected}"
        )

    def _without_trailing(
        self, batch: pa.RecordBatch, given: np.ndarray, bad: dict[int, str]
    ) -> tuple[pa.RecordBatch, np.ndarray]:
        """Remove the column behind a trailing delimiter, and the rows that have a value there."""
        if not self._trailing:
            return batch, given
        values = batch.column(batch.num_columns - 1)
        filled = mask(pc.not_equal(values, ""))
        bad |= dict.fromkeys(given[filled].tolist(), self._wrong_width(self._width + 1))
        return batch.select(self._kept).filter(pa.array(~filled)), given[~filled]

    def _plain_numbers(
        self, batch: pa.RecordBatch, given: np.ndarray, bad: dict[int, str], fields: dict[int, Fields]
    ) -> tuple[pa.RecordBatch, np.ndarray]:
        """Turn numbers into plain digits, and remove the rows with a number in another notation."""
        if self._notation.is_plain:
            return batch, given
        keep = np.ones(batch.num_rows, bool)
        for name in self._numbers:
            place = batch.schema.get_field_index(name)
            received = batch.column(place)
            plain, wrong = self._notation.plain(received)
            for row in np.flatnonzero(wrong & keep).tolist():
                bad[int(given[row])] = f"{name}: {received[row].as_py()!r} is not a number {self._notation}"
            keep &= ~wrong
            plain = pc.if_else(pa.array(wrong), pa.scalar(None, pa.string()), plain)
            batch = batch.set_column(place, name, plain)
        legible = batch.filter(pa.array(~keep)).to_pylist()
        fields |= zip(given[~keep].tolist(), legible, strict=True)
        return batch.filter(pa.array(keep)), given[keep]


def _text(block: Block, given: np.ndarray) -> bytes:
    """Return the text of some rows of a block."""
    rows = block.rows
    if len(given) == len(rows.ends):
        return block.text
    # Neighbours are copied together.
    breaks = np.flatnonzero(np.diff(given) != 1) + 1
    runs = [run for run in np.split(given, breaks) if len(run)]
    return b"".join(block.text[rows.starts[run[0]] : rows.ends[run[-1]]] for run in runs)


def _invalid(row: bytes, stream: TextStream) -> str:
    """Return the first bytes of a row that are not valid, or "" if all are."""
    try:
        row.decode()
    except UnicodeDecodeError as error:
        before, behind = row[: error.start], row[error.start :]
        return repr(stream.original(behind)[: max(1, error.end - error.start)]) if before or behind else ""
    return ""
