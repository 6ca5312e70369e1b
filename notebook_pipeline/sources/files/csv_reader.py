"""CSV files: the header, the rows as text in batches, and the rows that cannot be split into fields.

Fields are separated by commas and may be enclosed in double quotes. Nothing is guessed: every column is text,
empty is null. A quoted value may contain line breaks. Rows are counted from 1 after the header; empty lines
are not rows.
"""

import atexit
import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from notebook_pipeline.contract import utf8
from notebook_pipeline.contract.batch import Malformed, RawBatch
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.files.formats import whole

_BLOCK = 1 << 20  # also the longest row; Arrow reads up to 32 blocks ahead
_ROWS = 65_536  # a batch has at most about this many rows,
_BYTES = 16 << 20  # and about this many bytes
_SHOWN = 60  # bytes shown of a file that is not CSV


def read_header(path: Path, name: str, compression: str | None) -> list[str]:
    """Return the column names of a CSV file, or an empty list if it is empty."""
    return _read_start(path, name, compression)[0]


def read_rows(path: Path, name: str, compression: str | None) -> Iterator[RawBatch]:
    """Yield the rows of a CSV file; `name` is used in positions and messages.

    Raises PipelineError if the file is truncated or a row has no end.
    """
    header, has_rows = _read_start(path, name, compression)
    if not has_rows:
        return
    rows = _Rows(name, header)
    size = path.stat().st_size
    with _open(path, name, compression) as (file, stream):
        text = utf8.Utf8Stream(stream)
        try:
            reader = arrow_csv.open_csv(pa.PythonFile(text, "r"), *_options(header, rows.skip))
            with _stopping_read_ahead(reader, text):
                for batch in _gather(reader):
                    yield rows.batch(batch, marked=text.marked, share=file.tell() / size)
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error):
                raise
            raise PipelineError(
                f"{name}: found no end of a row within {_BLOCK >> 20} MB after row {rows.seen}; look for a "
                "quote that is never closed"
            ) from None
        finally:
            text.stop()
    if rows.bad:
        yield rows.rest()


def _read_start(path: Path, name: str, compression: str | None) -> tuple[list[str], bool]:
    """Return the fields of the first line that is not empty, and whether rows may follow."""
    with _open(path, name, compression) as (_, stream):
        start = stream.read(_BLOCK)
    text = io.StringIO(start.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape"), newline="")
    try:
        header = next((fields for fields in csv.reader(text) if fields), [])
        "".join(header).encode()  # the rows may contain invalid bytes, the header must not
    except (UnicodeEncodeError, csv.Error):
        raise PipelineError(
            f"{name}: found {start[:_SHOWN]!r}…, expected the column names of a CSV file in UTF-8"
        ) from None
    return header, len(start) == _BLOCK or bool(text.read().strip("\r\n"))


@contextmanager
def _open(path: Path, name: str, compression: str | None) -> Iterator[tuple[pa.NativeFile, pa.NativeFile]]:
    """Open a file and the stream of its decompressed bytes (the same object if it is not compressed)."""
    with whole(name, compression or "CSV"), pa.OSFile(str(path)) as file:
        yield file, pa.CompressedInputStream(file, compression) if compression else file


def _options(
    header: Sequence[str], skip: Callable[[arrow_csv.InvalidRow], str]
) -> tuple[arrow_csv.ReadOptions, arrow_csv.ParseOptions, arrow_csv.ConvertOptions]:
    # Arrow knows the numbers of bad rows only when it reads with one thread.
    read = arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK)
    parse = arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip)
    convert = arrow_csv.ConvertOptions(
        check_utf8=False,
        column_types=dict.fromkeys(header, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    return read, parse, convert


@contextmanager
def _stopping_read_ahead(reader: arrow_csv.CSVStreamingReader, text: utf8.Utf8Stream) -> Iterator[None]:
    """Stop Arrow's read-ahead when the reader is left early, at the latest when the process exits.

    Its thread calls Python, which would crash an interpreter that is shutting down.
    """

    def leave() -> None:
        text.stop()
        with suppress(pa.ArrowException, OSError):
            for _ in reader:  # the thread has ended when the reader has
                pass

    atexit.register(leave)
    try:
        yield
    finally:
        leave()
        atexit.unregister(leave)


def _gather(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield larger batches, which cost less per row; blocks stay small because Arrow holds many of them."""
    few: list[pa.RecordBatch] = []
    try:
        for batch in batches:
            few.append(batch)
            if sum(part.num_rows for part in few) >= _ROWS or sum(part.nbytes for part in few) >= _BYTES:
                yield pa.concat_batches(few)
                few = []
    except pa.ArrowInvalid:
        if few:  # so that the error can name the last row
            yield pa.concat_batches(few)
        raise
    if few:
        yield pa.concat_batches(few)


class _Rows:
    """The row numbers of one file; Arrow returns good rows in batches, and bad ones through a callback."""

    def __init__(self, name: str, header: Sequence[str]) -> None:
        self.name = name
        self.header = header
        self.seen = 0  # the number of the last row that was returned
        self.bad: dict[int, Malformed] = {}  # by number, not returned yet

    def skip(self, row: arrow_csv.InvalidRow) -> str:
        """Save a bad row; Arrow counts from 1 including the header, and may be a block ahead."""
        reason = f"{row.actual_columns} fields, but the header has {row.expected_columns}"
        self._keep(row.number - 1, row.text, reason)
        return "skip"

    def batch(self, batch: pa.RecordBatch, *, marked: bool, share: float) -> RawBatch:
        """Return a batch with the bad rows before, within and right after it."""
        numbers = self._number(batch.num_rows)
        malformed = [self.bad.pop(number) for number in sorted(self.bad) if number <= self.seen]
        columns = utf8.original_columns(batch) if marked else batch
        return RawBatch(columns, lambda row: f"{self.name}:{numbers[row]}", malformed, share)

    def rest(self) -> RawBatch:
        """Return the bad rows after the last batch."""
        nothing = pa.RecordBatch.from_pylist([], pa.schema([(name, pa.string()) for name in self.header]))
        return RawBatch(nothing, str, [self.bad[number] for number in sorted(self.bad)], 1.0)

    def _number(self, good: int) -> np.ndarray:
        """Return the numbers of the next good rows, skipping the bad rows between them."""
        bad = np.array(sorted(self.bad), np.int64)
        good_before = bad - self.seen - 1 - np.arange(len(bad))
        bad = bad[good_before <= good]
        first, self.seen = self.seen + 1, self.seen + good + len(bad)
        return np.delete(np.arange(first, self.seen + 1), bad - first)

    def _keep(self, number: int, text: str, reason: str) -> None:
        self.bad[number] = Malformed(f"{self.name}:{number}", utf8.original(text), reason)
