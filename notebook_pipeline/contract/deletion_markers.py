"""Rows that a live source has marked as deleted: of such a row only the key need be valid."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract import received_fields
from notebook_pipeline.contract.arrow_functions import Mask, mask, pc
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.neutral_types import stored_type
from notebook_pipeline.declare.dataset import Dataset


def split_markers(raw: RawBatch) -> tuple[RawBatch, RawBatch]:
    """Return the rows of a batch that are not marked as deleted, with malformed ones, and those that are."""
    marked = np.zeros(len(raw.received), bool) if raw.deletions is None else mask(raw.deletions)
    return chosen(raw, ~marked), replace(chosen(raw, marked), malformed=())


def readable_keys(
    raw: RawBatch, dataset: Dataset, given: Mapping[str, pa.Array] | None = None
) -> tuple[pa.RecordBatch, Mask]:
    """Return the keys of rows that have a valid one, in stored types, and which rows these are."""
    columns = [dataset.column(name) for name in dataset.keys]
    cells = received_fields.convert(raw, Dataset(dataset.name, columns, dataset.key), given or {})
    valid = np.logical_and.reduce([mask(cells[name].stored.is_valid()) for name in dataset.keys])
    schema = pa.schema([(name, stored_type(dataset.column(name).type)) for name in dataset.keys])
    keys = pa.RecordBatch.from_arrays([cells[name].stored for name in dataset.keys], schema=schema)
    return keys.filter(pa.array(valid)), valid


def chosen(raw: RawBatch, rows: Mask) -> RawBatch:
    """Return the marked rows of a batch alone, with its malformed ones."""
    kept = np.flatnonzero(rows).tolist()
    received = raw.received
    if isinstance(received, pa.RecordBatch):
        taken: pa.RecordBatch | list[object] = cast("pa.RecordBatch", received).filter(pa.array(rows))
    else:
        taken = [received[index] for index in kept]
    return replace(
        raw,
        received=taken,
        typed=None if raw.typed is None else raw.typed.filter(pa.array(rows)),
        position=lambda row: raw.position(kept[row]),
        deletions=None,
    )


def has_markers(raw: RawBatch) -> bool:
    """Return True if any row of a batch is marked as deleted."""
    return raw.deletions is not None and bool(pc.any(raw.deletions).as_py())
