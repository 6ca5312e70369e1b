"""Write small bulk files, and read and check them as a load does."""

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
from declared import PLAYER
from pyarrow import parquet

from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.check_batch import Checked, Rejected, check_batch, stored_schema
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.sources.files.bulk_file import fetch_bulk, read_batches

TODAY = date(2026, 11, 22)
HEADER = ",".join(PLAYER.schema.names)

Row = Mapping[str, object]


def player(player_id: int = 1, **changes: object) -> dict[str, object]:
    """Return a good row, with changes."""
    return {
        "player_id": player_id,
        "gsis_id": "00-0000001",
        "first_name": "José",
        "last_name": "O'Neil, Jr",
        "position": "QB",
        "last_changed_date": "2026-11-01",
        **changes,
    }


def csv_bytes(rows: Sequence[Row]) -> bytes:
    """Return rows as CSV with a header, nulls as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PLAYER.schema.names)
    writer.writerows(row.values() for row in rows)
    return text.getvalue().encode()


def parquet_table(rows: Sequence[Row], schema: pa.Schema = PLAYER.schema) -> pa.Table:
    """Return rows as a table of the declared types."""
    days = [date.fromisoformat(str(row["last_changed_date"])) for row in rows]
    return pa.Table.from_pylist(
        [{**row, "last_changed_date": day} for row, day in zip(rows, days, strict=True)], schema
    )


def parquet_bytes(rows: Sequence[Row], row_group_size: int = 1000) -> bytes:
    """Return rows as a Parquet file."""
    buffer = io.BytesIO()
    parquet.write_table(parquet_table(rows), buffer, row_group_size=row_group_size, compression="gzip")
    return buffer.getvalue()


def pack(data: bytes, suffix: str) -> bytes:
    """Return data as a file of that suffix holds it."""
    if suffix.endswith(".gz"):
        return gzip.compress(data, mtime=0)
    return pa.compress(data, "zstd", asbytes=True) if suffix.endswith(".zst") else data


def folder(path: Path) -> Connection:
    """Return a connection to a folder."""
    return Connection("files", "fs", extra={"path": str(path)})


def load(
    source: str, connection: Connection, cache: Path, dataset: Dataset = PLAYER
) -> tuple[pa.Table, list[Rejected], int]:
    """Return the good rows, the rejected ones, and how many were read."""
    bulk = fetch_bulk(source, connection, cache, dataset)
    checked = [check_batch(raw, dataset, TODAY) for raw in read_batches(bulk, dataset)]
    return (
        join(checked, stored_schema(dataset)),
        [row for batch in checked for row in batch.rejected],
        sum(batch.read for batch in checked),
    )


def join(checked: Sequence[Checked], schema: pa.Schema | None = None) -> pa.Table:
    """Return the good rows of batches as one table."""
    return pa.Table.from_batches([batch.good for batch in checked], schema)
