"""Batches in the order of their keys, and the places of keys in another batch, for keys of any columns."""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import Mask, mask, pc
from notebook_pipeline.declare.dataset import Dataset


def sorted_by_key(batch: pa.RecordBatch, keys: Sequence[str]) -> tuple[pa.RecordBatch, Mask]:
    """Return the batch in the order of its keys, and what `ascends` says of it.

    Rows of one key keep their order.
    """
    rising = ascends(batch, keys)
    if rising.all():
        return batch, rising
    rows = batch.take(pc.sort_indices(batch, [(name, "ascending") for name in keys]))
    return rows, ascends(rows, keys)


def repeated(rising: Mask) -> Mask:
    """Return which rows of a batch in the order of its keys have a key that another row has as well."""
    return np.r_[False, ~rising] | np.r_[~rising, False]


def ascends(batch: pa.RecordBatch, keys: Sequence[str]) -> Mask:
    """Return for each row but the first whether its key is greater than the key of the row before it."""
    found, tied = np.zeros(max(len(batch) - 1, 0), bool), np.ones(max(len(batch) - 1, 0), bool)
    for name in keys:
        column = batch.column(name)
        found |= tied & mask(pc.less(column[:-1], column[1:]))
        tied &= mask(pc.equal(column[:-1], column[1:]))
        if not tied.any():
            break
    return found


def places_of(wanted: pa.RecordBatch, there: pa.RecordBatch, keys: Sequence[str]) -> pa.Array:
    """Return the index in `there` of each row's key in `wanted`, null where it is missing."""
    if len(keys) == 1:
        return pc.index_in(wanted.column(keys[0]), there.column(keys[0]))
    codes = np.zeros(len(there) + len(wanted), np.int64)
    for name in keys:
        column = pa.concat_arrays([there.column(name), wanted.column(name)]).dictionary_encode()
        codes = codes * len(column.dictionary) + column.indices.to_numpy()
        codes = np.unique(codes, return_inverse=True)[1]  # small again, so that no product overflows
    return pc.index_in(pa.array(codes[len(there) :]), pa.array(codes[: len(there)]))


def keys_from_text(texts: Sequence[str], schema: pa.Schema) -> pa.RecordBatch:
    """Return keys that were recorded as text (see keys.py) in the types of these columns."""
    rows = [[text] for text in texts] if len(schema) == 1 else [json.loads(text) for text in texts]
    columns = [pa.array([str(row[place]) for row in rows]) for place in range(len(schema))]
    return pa.RecordBatch.from_arrays(
        [column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def key_columns(dataset: Dataset, keys: pa.Array) -> pa.RecordBatch:
    """Return keys, which are structs if the key has several columns, as these columns."""
    columns = keys.flatten() if len(dataset.keys) > 1 else [keys]
    return pa.RecordBatch.from_arrays(columns, list(dataset.keys))


def key_of(batch: pa.RecordBatch, keys: Sequence[str], row: int) -> tuple:
    """Return the key of one row, column by column."""
    return tuple(batch.column(name)[row].as_py() for name in keys)
