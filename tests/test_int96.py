"""Timestamps of Parquet in INT96 are right in every year, and keep their digits."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from notebook_pipeline.sources.files.parquet_reader import read_rows

YEARS = [datetime(9999, 12, 31, 1, 2, 3, 4), None, datetime(1, 1, 1), datetime(2025, 1, 1)]


def read(path: Path, values: pa.Array) -> list[object]:
    table = pa.table({"id": range(len(values)), "at": values})
    parquet.write_table(table, path / "p.parquet", use_deprecated_int96_timestamps=True)
    [batch] = read_rows(path / "p.parquet", "p.parquet", ())
    assert batch.columns is not None
    return batch.columns["at"].to_pylist()


def test_a_moment_is_right_in_every_year(tmp_path: Path) -> None:
    assert read(tmp_path, pa.array(YEARS, pa.timestamp("us"))) == YEARS


def test_digits_beyond_microseconds_are_kept(tmp_path: Path) -> None:
    nanoseconds = pa.array([1735689600000000001, None, 0], pa.timestamp("ns"))
    assert read(tmp_path, nanoseconds) == [
        "2025-01-01 00:00:00.000000001",
        None,
        "1970-01-01 00:00:00.000000000",
    ]
