"""The files that are loaded, cached on disk: good rows, files with bad rows, and deltas."""

# pyarrow creates its compute functions at run time, so a type checker cannot see them.
# pyright: reportAttributeAccessIssue=false

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from benchmarks.race import CACHE, tell
from sample.players import BULK_DAY, players

DELTA = 1_000
BAD_EVERY = 100
_CSV = csv.WriteOptions(quoting_style="none", quoting_header="none")
_KEPT_BYTES = 500_000_000


def as_parquet(rows: int) -> Path:
    """Return a Parquet file of `rows` players."""
    return _cached(f"players-{rows}.parquet", lambda path: _write_parquet(players(rows), path))


def as_csv(rows: int) -> Path:
    """Return a CSV file of the same players."""
    return _cached(f"players-{rows}.csv", lambda path: csv.write_csv(players(rows), path, _CSV))


def parts(rows: int, count: int, suffix: str) -> Path:
    """Return a folder of `count` files, `parquet` or `csv`, with the same players in key order."""
    return _cached(
        f"players-{rows}-in-{count}-{suffix}", lambda path: _write_parts(rows, count, suffix, path)
    )


def bad_parquet(rows: int) -> Path:
    """Return the Parquet file with an invalid position in every hundredth row."""
    return _cached(f"bad-{rows}.parquet", lambda path: _write_parquet(_spoilt(players(rows)), path))


def bad_csv(rows: int) -> Path:
    """Return the CSV file with one of four kinds of error, in turn, in every hundredth line."""
    return _cached(f"bad-{rows}.csv", lambda path: _spoil_lines(as_csv(rows), path))


def deltas(rows: int, count: int) -> list[Path]:
    """Return `count` files of DELTA changed players each, spread over all `rows` players.

    Each file has other players and a later day.
    """
    paths = [CACHE / f"delta-{rows}-{number}.parquet" for number in range(count)]
    if not all(path.exists() for path in paths):
        everyone = parquet.read_table(as_parquet(rows))
        for number, path in enumerate(paths):
            _write_parquet(_delta(everyone, number), path)
    return paths


def changed(rows: int) -> pa.Table:
    """Return the players after a change to all of them: a longer name and a later day."""
    return _changed(players(rows), 1)


def forget_large() -> None:
    """Remove cached files that are too large to keep."""
    for path in CACHE.glob("*.*"):
        if path.stat().st_size > _KEPT_BYTES:
            path.unlink()
    for folder in CACHE.glob("players-*-in-*"):
        if sum(path.stat().st_size for path in folder.iterdir()) > _KEPT_BYTES:
            shutil.rmtree(folder)


def _cached(name: str, write: Callable[[Path], object]) -> Path:
    path = CACHE / name
    if not path.exists():
        tell(f"making {name}")
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{name}.part")
        write(part)
        part.replace(path)
    return path


def _write_parts(rows: int, count: int, suffix: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    everyone = players(rows)
    for number in range(count):
        begin, end = rows * number // count, rows * (number + 1) // count
        part, path = everyone.slice(begin, end - begin), folder / f"{number:02}.{suffix}"
        csv.write_csv(part, path, _CSV) if suffix == "csv" else _write_parquet(part, path)


def _write_parquet(table: pa.Table, path: Path) -> None:
    parquet.write_table(table, path, compression="zstd")


def _spoilt(table: pa.Table) -> pa.Table:
    bad = pa.array(np.arange(table.num_rows) % BAD_EVERY == BAD_EVERY // 2)
    column = table.schema.get_field_index("position")
    position = pc.if_else(bad, pa.scalar("GOALIE"), table["position"])
    return table.set_column(column, table.schema.field(column), position)


def _spoil_lines(source: Path, path: Path) -> None:
    with source.open("rb") as lines, path.open("wb") as spoilt:
        spoilt.write(next(lines))
        for number, line in enumerate(lines):
            spoilt.write(line if number % BAD_EVERY != BAD_EVERY // 2 else _spoil(line, number // BAD_EVERY))


def _spoil(line: bytes, turn: int) -> bytes:
    """Return a line with, in turn, an invalid position, day or key, or an extra field."""
    fields = line.rstrip(b"\n").split(b",")
    match turn % 4:
        case 0:
            fields[4] = b"GOALIE"
        case 1:
            fields[5] = b"2024-02-30"
        case 2:
            fields[0] += b"x"
        case _:
            fields.append(b"more")
    return b",".join(fields) + b"\n"


def _delta(everyone: pa.Table, number: int) -> pa.Table:
    step = everyone.num_rows // DELTA
    chosen = everyone.take(pa.array(np.arange(DELTA) * step + number % step))
    return _changed(chosen, number + 1)


def _changed(table: pa.Table, days: int) -> pa.Table:
    names = pc.binary_join_element_wise(table["last_name"], pa.scalar("-Later"), "")
    day = pa.scalar(BULK_DAY + timedelta(days), pa.date32())
    return table.set_column(3, table.schema.field(3), names).set_column(
        5, table.schema.field(5), pa.repeat(day, table.num_rows)
    )
