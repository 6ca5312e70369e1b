"""Parquet files: columns, number of rows, and rows in batches of similar size, however they were written."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.sources.files.csv_header import once
from notebook_pipeline.sources.files.formats import whole
from notebook_pipeline.sources.files.int96 import int96_columns, with_all_digits

_ROWS = 65_536  # a batch has at most about this many rows,
_BYTES = 16 << 20  # and about this many bytes
_BUFFER = 1 << 20  # bytes of each column read at once, so that a huge row group is not read into memory


def read_schema(path: Path, name: str) -> tuple[pa.Schema, int]:
    """Return the columns of a Parquet file with their types, and its number of rows."""
    with _open(path, name) as file:
        return file.schema_arrow, file.metadata.num_rows


def read_rows(path: Path, name: str, leave_out: Collection[str]) -> Iterator[RawBatch]:
    """Yield the rows of a Parquet file; `name` is used in messages and in positions, which count from 1.

    Columns whose name others have are left out. Raises PipelineError if the file is damaged.
    """
    done = 0
    with _open(path, name) as file:
        total = file.metadata.num_rows
        columns = [column for column in once(file.schema_arrow.names) if column not in leave_out]
        # One thread costs less CPU time; the load overlaps reading with writing instead.
        rows = _rows_at_once(file.metadata)
        batches = file.iter_batches(rows, columns=columns, use_threads=False)
        odd = [column for column in int96_columns(file.schema) if column in columns]
        nanoseconds = _in_nanoseconds(path, name, odd, rows)
        while batch := _next(batches, name, done):
            if exact := _next(nanoseconds, name, done):
                batch = with_all_digits(batch, exact)
            yield RawBatch(batch, _positions(name, done + 1), share=(done + batch.num_rows) / total)
            done += batch.num_rows


def _in_nanoseconds(path: Path, name: str, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the columns in nanoseconds, in the same batches as the others; nothing if there are none."""
    if columns:
        with _open(path, name, int96_unit="ns") as file:
            yield from file.iter_batches(rows, columns=columns, use_threads=False)


def _rows_at_once(metadata: parquet.FileMetaData) -> int:
    """Return the number of rows in a batch, from the largest average size of a row in a row group."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    row = max((group.total_byte_size / group.num_rows for group in groups if group.num_rows), default=0)
    return max(1, min(_ROWS, int(_BYTES / row))) if row else _ROWS


def _next(batches: Iterator[pa.RecordBatch], name: str, done: int) -> pa.RecordBatch | None:
    with whole(f"{name}, after row {done}", "Parquet"):
        return next(batches, None)


def _positions(name: str, first: int) -> Callable[[int], str]:
    return lambda row: f"{name}:{first + row}"


def _open(path: Path, name: str, *, int96_unit: str = "us") -> parquet.ParquetFile:
    with whole(name, "Parquet"):
        # Checksums, if the writer stored any, reveal damaged values.
        return parquet.ParquetFile(
            path,
            pre_buffer=False,
            buffer_size=_BUFFER,
            page_checksum_verification=True,
            coerce_int96_timestamp_unit=int96_unit,
        )
