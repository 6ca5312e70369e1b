"""Settle rows without staging them: those that are stored as they are, and those that are plainly newer."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.extraction_order import awaited_keys

# A batch is compared with all stored rows between its first and last key, as long as those are few.
MOST_ROWS_READ = 2.0


def is_known(database: Database, dataset: Dataset, batch: pa.RecordBatch, source: str) -> pa.Array | None:
    """Say of every row whether it is stored as it is, from this source; None where most are not.

    The keys have to be distinct and in order. A row that is awaited (see extraction_order.py) is never known.
    """
    key = batch.column(dataset.key)
    stored = _between(database, dataset, key[0].as_py(), key[-1].as_py(), int(MOST_ROWS_READ * len(key)))
    if stored is None:
        return None
    here = _aligned(stored, dataset.key, key)
    same = pc.fill_null(pc.equal(here["_source"], source), False)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        same = pc.and_(same, _is_same(column, here[name].cast(column.type)))
    return _without_awaited(database, dataset, key, same)


def write_newer(
    database: Database, dataset: Dataset, batch: pa.RecordBatch, marks: Mapping[str, str]
) -> tuple[int, int]:
    """Write every row that is not stored, or with an older cursor; count the inserted and the updated.

    Where that could not be counted in good time, and on engines that judge rows first, nothing is written.
    """
    keys = batch.column(dataset.key)
    ends = keys[0].as_py(), keys[-1].as_py()
    most = int(MOST_ROWS_READ * len(keys))
    before = _count_between(database, dataset, *ends, most)
    if before > most:
        return 0, 0
    written = database.append_newer(dataset.name, dataset.key, dataset.cursor, batch, marks)
    inserted = _count_between(database, dataset, *ends, before + written) - before
    return inserted, written - inserted


def _between(database: Database, dataset: Dataset, low: Any, high: Any, most: int) -> pa.Table | None:
    """Return the stored rows between two keys, None where there is none or they are too many."""
    if not 0 < _count_between(database, dataset, low, high, most) <= most:
        return None
    columns = ", ".join(quoted(name) for name in (*dataset.schema.names, "_source"))
    where = f"FROM {quoted(dataset.name)} WHERE {quoted(dataset.key)} BETWEEN ? AND ?"
    return database.query(f"SELECT {columns} {where} ORDER BY {quoted(dataset.key)}", [low, high])


def _count_between(database: Database, dataset: Dataset, low: Any, high: Any, most: int) -> int:
    """Count the stored rows between two keys, but no further than `most` and one."""
    rows = f"SELECT 1 FROM {quoted(dataset.name)} WHERE {quoted(dataset.key)} BETWEEN ? AND ? LIMIT ?"
    return database.execute(f"SELECT count(*) FROM ({rows})", [low, high, most + 1])[0][0]


def _aligned(stored: pa.Table, name: str, keys: pa.Array) -> dict[str, pa.Array]:
    """Return the stored columns with a row for every key, null where it is not stored."""
    columns = stored.combine_chunks().to_batches()[0]
    there = columns.column(name)
    if not there.equals(keys):
        columns = columns.take(pc.index_in(keys, there))
    return dict(zip(stored.schema.names, columns.columns, strict=True))


def _is_same(one: pa.Array, other: pa.Array) -> Any:
    """Compare two columns cell by cell, null being equal to null."""
    if one.equals(other):
        return True
    both_null = pc.and_(pc.is_null(one), pc.is_null(other))
    return pc.or_(pc.fill_null(pc.equal(one, other), False), both_null)


def _without_awaited(database: Database, dataset: Dataset, keys: pa.Array, known: pa.Array) -> pa.Array:
    awaited = awaited_keys(database, dataset, keys[0].as_py(), keys[-1].as_py())
    return known if awaited is None else pc.and_(known, pc.invert(pc.is_in(keys, awaited.cast(keys.type))))
