"""Checked batches on disk, for a source that is read to its end before any row is merged."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.check_batch import Checked, check_batch, stored_schema
from notebook_pipeline.declare.dataset import Dataset


class Spool:
    """Batches that are checked as they come, with their good rows in an unnamed file in `folder`.

    At most `keep` rejected rows are kept; all are counted. `highest` is the highest value of a cursor that is
    a number.
    """

    def __init__(self, folder: Path, dataset: Dataset, today: date, *, keep: int) -> None:
        self._folder = folder
        self._dataset = dataset
        self._today = today
        self._keep = keep
        self._no_rows = pa.RecordBatch.from_pylist([], stored_schema(dataset))
        self.begin()

    def begin(self) -> None:
        """Discard all batches so far."""
        self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  (closed with the spool)
        self._writer = pa.ipc.new_stream(self._file, self._no_rows.schema)
        self._checked: list[Checked] = []
        self._rows = self._rejected = 0
        self.highest: int | None = None

    def add(self, batch: RawBatch) -> None:
        """Check a batch and store it."""
        keep = max(self._keep - self._rejected, 0)
        checked = check_batch(batch, self._dataset, self._today, keep=keep)
        self._writer.write_batch(checked.good)
        self._checked.append(replace(checked, good=self._no_rows))
        self._rows += checked.read
        cursor = self._dataset.cursor
        if cursor and pa.types.is_integer(checked.good.schema.field(cursor).type) and len(checked.good):
            highest = pc.max(checked.good.column(cursor)).as_py()
            self.highest = highest if self.highest is None else max(self.highest, highest)
        self._rejected += len(checked.rejected)

    def batches(self) -> Iterator[Checked]:
        """Yield the checked batches in the order they came; no more can be added after that."""
        self._writer.close()
        self._file.seek(0)
        done = 0
        for checked, good in zip(self._checked, pa.ipc.open_stream(self._file), strict=True):
            done += checked.read
            yield replace(checked, good=good, share=done / self._rows if self._rows else None)
