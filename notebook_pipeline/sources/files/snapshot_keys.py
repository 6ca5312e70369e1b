"""The keys of all rows of a snapshot, also of those that are rejected."""

from dataclasses import replace
from functools import reduce

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.received_fields import convert
from notebook_pipeline.declare.dataset import Dataset


class SnapshotKeys:
    """The keys of the rows so far; `unreadable` counts the rows whose key cannot be read.

    A key of several columns is a struct.
    """

    def __init__(self, dataset: Dataset) -> None:
        columns = [dataset.column(name) for name in dataset.keys]
        self._only_keys = Dataset(dataset.name, columns, dataset.key)
        self._batches: list[pa.Array] = []
        self.unreadable = 0
        self.rows = 0

    def add(self, batch: RawBatch) -> None:
        """Add the keys of a batch, also of malformed rows whose key could be read."""
        self.rows += len(batch)
        self._add(batch)
        if batch.malformed:
            fields = [row.fields for row in batch.malformed]
            self._add(RawBatch(fields, batch.position, from_text=True))

    def _add(self, batch: RawBatch) -> None:
        if batch.columns is None:
            objects = [row if isinstance(row, dict) else {} for row in batch.received]
            batch = replace(batch, received=objects)
        cells = convert(batch, self._only_keys)
        found = [cells[name].stored for name in self._only_keys.keys]
        valid = reduce(pc.and_, (part.is_valid() for part in found))
        several = pa.StructArray.from_arrays(found, list(self._only_keys.keys))
        keys = (several if len(found) > 1 else found[0]).filter(valid)
        self.unreadable += len(batch.received) - len(keys)
        self._batches.append(keys)

    def array(self) -> pa.Array:
        """Return the keys of all rows in their order."""
        return pa.concat_arrays(self._batches)
