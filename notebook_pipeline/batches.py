"""Say what reading hands on: received rows in batches, each row with its position, nothing judged yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Malformed:
    """Hold one row that could not be cut into its fields, as received, and why."""

    position: str
    content: bytes
    reason: str


@dataclass(frozen=True)
class RawBatch:
    """Hold one batch as received: the columns of a file, or the values of a JSON list.

    `received` is a record batch (CSV: every column binary; Parquet: its own types) or a sequence of
    parsed JSON values, one per row. `position` gives `file:row` or `page:index` for a row's index in
    `received`. `malformed` rows are not in `received`. `share` is how much of the whole source has been
    read after this batch, 0 to 1, where that is known.
    """

    received: pa.RecordBatch | Sequence[object]
    position: Callable[[int], str]
    malformed: Sequence[Malformed] = ()
    share: float | None = None

    def __len__(self) -> int:
        """Count the rows that were read, malformed ones included."""
        return len(self.received) + len(self.malformed)
