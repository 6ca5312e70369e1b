"""Merging without staging: rows that are stored already, and rows that have a greater cursor."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import Mask, mask, pc
from notebook_pipeline.contract.source_kind import BULK_MARK
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, Value, quoted
from notebook_pipeline.storage.key_order import key_of, places_of

# A batch is compared with all stored rows between its first and last key, unless they are more than this
# many times as many.
MOST_ROWS_READ = 2.0


def is_known(database: Database, dataset: Dataset, batch: pa.RecordBatch, *, is_live: bool) -> Mask | None:
    """Return for every row of a batch in stored form whether an identical one is stored.

    For a live source a stored bulk row does not count, because its `_source` will change. The keys must be
    distinct and sorted. Return None if no row between the first and the last key is stored, or more than are
    worth reading.
    """
    most = int(MOST_ROWS_READ * len(batch))
    where, ends = _between(dataset, batch)
    if not 0 < _count(database, dataset, where, ends, most) <= most:
        return None
    columns = ", ".join(quoted(name) for name in (*dataset.schema.names, "_source"))
    order = ", ".join(map(quoted, dataset.keys))
    stored = database.query(
        f"SELECT {columns} FROM {quoted(dataset.name)} WHERE {where} ORDER BY {order}", ends
    )
    here = _aligned(stored, batch, dataset.keys)
    # Rows of other programs have no source, and SQLite gives a column of nulls any type.
    source = here["_source"].cast(pa.string())
    same = pc.not_equal(source, BULK_MARK) if is_live else pc.is_valid(here[dataset.keys[0]])
    same = pc.fill_null(same, False)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        same = pc.and_(same, _is_same(column, here[name]))
    return mask(same)


def write_newer(
    database: Database, dataset: Dataset, batch: pa.RecordBatch, marks: Mapping[str, str]
) -> tuple[int, int]:
    """Write every row that is new or has a greater cursor; return the numbers of inserted and updated rows.

    Write nothing if counting them would be too slow, or on an engine that must compare rows first.
    """
    most = int(MOST_ROWS_READ * len(batch))
    where, ends = _between(dataset, batch)
    before = _count(database, dataset, where, ends, most)
    if before > most or dataset.cursor is None:
        return 0, 0
    written = database.append_newer(dataset.name, dataset.keys, dataset.cursor, batch, marks)
    inserted = _count(database, dataset, where, ends, before + written) - before
    return inserted, written - inserted


def _between(dataset: Dataset, batch: pa.RecordBatch) -> tuple[str, list[Value]]:
    """Return the condition that a stored row's key is between the batch's first and last, and its values."""
    keys = dataset.keys
    ends = [*key_of(batch, keys, 0), *key_of(batch, keys, len(batch) - 1)]
    if len(keys) == 1:
        return f"{quoted(keys[0])} BETWEEN ? AND ?", ends
    columns, marks = ", ".join(map(quoted, keys)), ", ".join("?" * len(keys))
    return f"({columns}) >= ({marks}) AND ({columns}) <= ({marks})", ends


def _count(database: Database, dataset: Dataset, where: str, ends: Sequence[Value], most: int) -> int:
    """Return the number of stored rows that meet a condition, but at most `most` + 1."""
    rows = f"SELECT 1 FROM {quoted(dataset.name)} WHERE {where} LIMIT ?"
    return database.execute(f"SELECT count(*) FROM ({rows}) counted", [*ends, most + 1])[0][0]


def _aligned(stored: pa.Table, batch: pa.RecordBatch, keys: Sequence[str]) -> dict[str, pa.Array]:
    """Return the stored columns, in the types of the batch, with a row for every row of it or null."""
    there = stored.combine_chunks().to_batches()[0]
    columns = [
        column.cast(batch.schema.field(name).type) if name in batch.schema.names else column
        for name, column in zip(there.schema.names, there.columns, strict=True)
    ]
    there = pa.RecordBatch.from_arrays(columns, there.schema.names)
    if not all(there.column(name).equals(batch.column(name)) for name in keys):
        there = there.take(places_of(batch, there, keys))
    return dict(zip(there.schema.names, there.columns, strict=True))


def _is_same(one: pa.Array, other: pa.Array) -> Any:
    """Compare two columns value by value; null equals null."""
    if one.equals(other):
        return True
    both_null = pc.and_(pc.is_null(one), pc.is_null(other))
    return pc.or_(pc.fill_null(pc.equal(one, other), False), both_null)
