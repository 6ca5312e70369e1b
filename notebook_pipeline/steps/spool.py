"""Checked batches on disk, for a source that is read to its end before any row is merged."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.check_batch import Checked, check_batch, stored_schema
from notebook_pipeline.contract.child_rows import with_children
from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.declare.dataset import Dataset


class Spool:
    """Batches that are checked as they come, with their good rows in an unnamed file in `folder`.

    At most `keep` rejected rows are kept, and of each child in `nested`; all are counted. `highest` is the
    highest value of a cursor that is a number.
    """

    def __init__(
        self, folder: Path, dataset: Dataset, today: date, *, keep: int, nested: Sequence[Nested] = ()
    ) -> None:
        self._nested = nested
        self._folder = folder
        self._dataset = dataset
        self._today = today
        self._keep = keep
        self._no_rows = pa.RecordBatch.from_pylist([], stored_schema(dataset))
        self.begin()

    def begin(self) -> None:
        """Discard all batches so far."""
        self._rows_on_disk = _Rows(self._folder, self._no_rows.schema)
        self._nested_on_disk = {
            one.dataset.name: _Rows(self._folder, stored_schema(one.dataset)) for one in self._nested
        }
        self._checked: list[Checked] = []
        self._rows = self._rejected = 0
        self.highest: int | None = None

    def add(self, batch: RawBatch) -> None:
        """Check a batch and store it."""
        keep = max(self._keep - self._rejected, 0)
        checked = check_batch(batch, self._dataset, self._today, keep=keep)
        checked = with_children(checked, self._nested, self._today, keep=self._keep)
        self._rows_on_disk.write(checked.good)
        for name, rows in checked.children.items():
            self._nested_on_disk[name].write(rows.good)
        children = {name: replace(rows, good=rows.good[:0]) for name, rows in checked.children.items()}
        self._checked.append(replace(checked, good=self._no_rows, children=children))
        self._rows += checked.read
        cursor = self._dataset.cursor
        if cursor and pa.types.is_integer(checked.good.schema.field(cursor).type) and len(checked.good):
            highest = pc.max(checked.good.column(cursor)).as_py()
            self.highest = highest if self.highest is None else max(self.highest, highest)
        self._rejected += len(checked.rejected)

    def batches(self) -> Iterator[Checked]:
        """Yield the checked batches in the order they came; no more can be added after that."""
        good = self._rows_on_disk.read()
        nested = {name: rows.read() for name, rows in self._nested_on_disk.items()}
        done = 0
        for checked in self._checked:
            done += checked.read
            children = {
                name: replace(rows, good=next(nested[name])) for name, rows in checked.children.items()
            }
            share = done / self._rows if self._rows else None
            yield replace(checked, good=next(good), children=children, share=share)


class _Rows:
    """Batches in an unnamed file, which are read in the order in which they were written."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed with the spool)
        self._writer = pa.ipc.new_stream(self._file, schema)

    def write(self, rows: pa.RecordBatch) -> None:
        self._writer.write_batch(rows)

    def read(self) -> Iterator[pa.RecordBatch]:
        self._writer.close()
        self._file.seek(0)
        return iter(pa.ipc.open_stream(self._file))
