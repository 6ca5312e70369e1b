"""Merging without staging: rows that are stored already, and rows that have a greater cursor."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.extraction_order import awaited_keys

# A batch is compared with all stored rows between its first and last key, unless they are more than this
# many times as many.
MOST_ROWS_READ = 2.0


def is_known(database: Database, dataset: Dataset, batch: pa.RecordBatch, source: str) -> pa.Array | None:
    """Return for every row whether an identical one from this source is stored; False if it may be replayed.

    The keys must be distinct and sorted. Return None if no row between the first and the last key is stored,
    or more than are worth reading.
    """
    key = batch.column(dataset.key)
    stored = _between(database, dataset, key[0].as_py(), key[-1].as_py(), int(MOST_ROWS_READ * len(key)))
    if stored is None:
        return None
    here = _aligned(stored, dataset.key, key)
    # Rows of other programs have no source, and SQLite gives a column of nulls any type.
    same = pc.fill_null(pc.equal(here["_source"].cast(pa.string()), source), False)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        same = pc.and_(same, _is_same(column, here[name].cast(column.type)))
    return _without_awaited(database, dataset, key, same)


def write_newer(
    database: Database, dataset: Dataset, batch: pa.RecordBatch, marks: Mapping[str, str]
) -> tuple[int, int]:
    """Write every row that is new or has a greater cursor; return the numbers of inserted and updated rows.

    Write nothing if counting them would be too slow, or on an engine that must compare rows first.
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
    """Return the stored rows between two keys, or None if there are none or more than `most`."""
    if not 0 < _count_between(database, dataset, low, high, most) <= most:
        return None
    columns = ", ".join(quoted(name) for name in (*dataset.schema.names, "_source"))
    where = f"FROM {quoted(dataset.name)} WHERE {quoted(dataset.key)} BETWEEN ? AND ?"
    return database.query(f"SELECT {columns} {where} ORDER BY {quoted(dataset.key)}", [low, high])


def _count_between(database: Database, dataset: Dataset, low: Any, high: Any, most: int) -> int:
    """Return the number of stored rows between two keys, but at most `most` + 1."""
    rows = f"SELECT 1 FROM {quoted(dataset.name)} WHERE {quoted(dataset.key)} BETWEEN ? AND ? LIMIT ?"
    return database.execute(f"SELECT count(*) FROM ({rows})", [low, high, most + 1])[0][0]


def _aligned(stored: pa.Table, name: str, keys: pa.Array) -> dict[str, pa.Array]:
    """Return the stored columns with a row for every key, null if it is not stored."""
    columns = stored.combine_chunks().to_batches()[0]
    there = columns.column(name)
    if not there.equals(keys):
        columns = columns.take(pc.index_in(keys, there))
    return dict(zip(stored.schema.names, columns.columns, strict=True))


def _is_same(one: pa.Array, other: pa.Array) -> Any:
    """Compare two columns value by value; null equals null."""
    if one.equals(other):
        return True
    both_null = pc.and_(pc.is_null(one), pc.is_null(other))
    return pc.or_(pc.fill_null(pc.equal(one, other), False), both_null)


def _without_awaited(database: Database, dataset: Dataset, keys: pa.Array, known: pa.Array) -> pa.Array:
    awaited = awaited_keys(database, dataset, keys[0].as_py(), keys[-1].as_py())
    return known if awaited is None else pc.and_(known, pc.invert(pc.is_in(keys, awaited.cast(keys.type))))
