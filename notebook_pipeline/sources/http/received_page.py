"""A page as it was received: its rows, and what its answer holds beside them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from notebook_pipeline.contract import received_fields
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.paths import Path, path_steps
from notebook_pipeline.sources.http.answer_paths import find


@dataclass(frozen=True)
class ReceivedPage:
    """A page: its rows, what the answer holds beside them, and whether its status says that it is the end."""

    dataset: Dataset
    batch: RawBatch
    around: object
    headers: Mapping[str, str]
    is_end: bool = False

    @property
    def rows(self) -> int:
        """Return the number of its rows."""
        return len(self.batch)

    def value(self, path: Path) -> object:
        """Return what is at a path of the answer, or MISSING; the path may lead to one of the rows."""
        steps, rows = path_steps(path), path_steps(self.dataset.declared_api().rows)
        if len(steps) <= len(rows) or steps[: len(rows)] != rows or not self._has_row(steps[len(rows)]):
            return find(self.around, steps)
        index, *others = steps[len(rows) :]
        columns = self.batch.columns
        if columns is not None and len(others) == 1 and others[0] in columns.schema.names:
            return columns.column(others[0])[int(index) % self.rows].as_py()
        return find(self.batch.received[int(index)], tuple(others))

    def _has_row(self, step: str) -> bool:
        is_index = step.removeprefix("-").isdecimal()
        return is_index and -self.rows <= int(step) < self.rows

    def last_cursor(self) -> str:
        """Return the cursor of the last row in the form of a watermark, or "" if it has none."""
        value = self._cursors_of_last_row()[0].as_py()
        if hasattr(value, "isoformat"):
            return value.replace(tzinfo=None).isoformat(" ", "microseconds")
        return "" if value is None else str(value)

    def _cursors_of_last_row(self) -> pa.Array:
        last, columns = self.rows - 1, self.batch.columns
        row = self.batch.received[last] if columns is None else None
        if columns is None and not isinstance(row, dict):
            return pa.nulls(1)
        one = RawBatch([row] if columns is None else columns.slice(last), self.batch.position, family="api")
        return received_fields.convert(one, self.dataset)[self.dataset.cursor or ""].stored
