"""A sample of the rows of a file: its first rows, and some of those behind them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from notebook_pipeline.contract.batch import Malformed, RawBatch

FIRST_ROWS = 50_000
_MORE_BATCHES = 20
_OF_EACH = 2_000


@dataclass
class Sampled:
    """Batches of rows as received, how many rows were passed by, and the rows that could not be read."""

    columns: list[pa.RecordBatch] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    passed_by: int = 0
    malformed: list[Malformed] = field(default_factory=list)
    is_whole: bool = True

    @property
    def rows(self) -> int:
        """Return the number of rows in the sample."""
        return sum(map(len, self.columns)) + len(self.values)


def sampled(batches: Iterable[RawBatch]) -> Sampled:
    """Return the first rows, and from each of the next batches rows at equal distances."""
    found, more = Sampled(), 0
    for batch in batches:
        if more == _MORE_BATCHES:
            found.is_whole = False
            break
        found.malformed += batch.malformed
        left = FIRST_ROWS - found.rows if not more else 0
        taken = max(left, _OF_EACH)
        more += left <= 0 or len(batch.received) > left
        _take(found, batch, taken, are_first=left > 0)
    return found


def _take(found: Sampled, batch: RawBatch, taken: int, *, are_first: bool) -> None:
    count = len(batch.received)
    step = 1 if are_first else max(1, count // taken)
    kept = range(0, count, step)[:taken]
    if batch.columns is not None:
        found.columns.append(batch.columns.take(pa.array(kept, pa.int64())))
    else:
        found.values += [batch.received[index] for index in kept]
    passed_by = count - len(kept)
    found.passed_by += passed_by
    found.is_whole = found.is_whole and not passed_by
