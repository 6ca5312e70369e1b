"""The keys of all rows of a snapshot, also of those that are rejected."""

from collections.abc import Sequence
from functools import reduce

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.columns import Cells, from_column, from_values
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.sources.undeclared import received_names


class SnapshotKeys:
    """The keys of the rows so far; `unreadable` counts the rows whose key cannot be read.

    A key of several columns is a struct.
    """

    def __init__(self, dataset: Dataset) -> None:
        own_names = {column: name for name, column in received_names(dataset, "files").items()}
        self._fields = [(own_names[key], dataset.schema.field(key)) for key in dataset.keys]
        self._batches: list[pa.Array] = []
        self.unreadable = 0
        self.rows = 0

    def add(self, batch: RawBatch) -> None:
        """Add the keys of a batch."""
        found = [_cells(batch, name, field.type).stored for name, field in self._fields]
        valid = reduce(pc.and_, (part.is_valid() for part in found))
        if len(found) == 1:
            keys = found[0]
        else:
            keys = pa.StructArray.from_arrays(found, [field.name for _, field in self._fields])
        keys = keys.filter(valid)
        self.rows += len(batch)
        self.unreadable += len(batch) - len(keys)
        self._batches.append(keys)

    def array(self) -> pa.Array:
        """Return the keys of all rows in their order."""
        return pa.concat_arrays(self._batches)


def _cells(batch: RawBatch, name: str, declared: pa.DataType) -> Cells:
    if batch.columns is not None:
        return from_column(batch.columns.column(name), declared)
    values: Sequence[object] = [row.get(name) if isinstance(row, dict) else None for row in batch.received]
    return from_values(values, declared, from_text=batch.from_text)
