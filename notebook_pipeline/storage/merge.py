"""Merging rows into a dataset's table by the merge rule, and the watermark."""

from collections import Counter
from dataclasses import astuple, dataclass

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import all_true, mask, pc
from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.deletions import has_tombstones, last_sweep
from notebook_pipeline.storage.extraction_order import is_behind
from notebook_pipeline.storage.fast_merge import is_known, write_newer
from notebook_pipeline.storage.merge_rule import Circumstances
from notebook_pipeline.storage.staging import Staging


@dataclass(frozen=True)
class MergeCounts:
    """The numbers of merged rows by outcome; each row has exactly one of the four outcomes."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0

    def __add__(self, other: "MergeCounts") -> "MergeCounts":
        return MergeCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def total(self) -> int:
        """Return the number of merged rows."""
        return sum(astuple(self))


class Merge:
    """Merge batches of valid rows into a dataset's table, inside the caller's transaction.

    Every row follows the merge rule (see merge_rule.py). Three kinds need no staging for that: rows with keys
    greater than the table's last are new, rows that are stored already are unchanged, and rows with a greater
    cursor than the stored ones win if the dataset has no deletions and no entries in `row_place`.
    """

    def __init__(
        self, database: Database, dataset: Dataset, *, run_id: str, origin: Origin, place: str
    ) -> None:
        self._database = database
        self._dataset = dataset
        self._is_behind = is_behind(database, dataset.name, run_id, origin, place)
        self._found = Circumstances(
            origin,
            place,
            # A load that runs side by side with this one may come before or after it.
            is_behind=self._is_behind or (database.is_shared and origin.kind.side_by_side),
            has_tombstones=has_tombstones(database, dataset.name),
            sweep=last_sweep(database, dataset.name),
        )
        self._marks = {"_run_id": run_id, "_source": origin.source}
        # If the last batch had no row that is stored already, the next one is likely to have none either.
        self._is_plainly_newer = False
        self._staging = Staging(database, dataset, run_id=run_id, found=self._found)
        table, key = quoted(dataset.name), quoted(dataset.key)
        self._last_key = database.execute(f"SELECT max({key}) FROM {table}")[0][0]

    def add(self, batch: pa.RecordBatch) -> MergeCounts:
        """Merge one batch, with the dataset's columns in stored types, and return the counts."""
        if batch.column(self._dataset.key).null_count:
            raise PipelineError(f"{self._dataset.name}: a row without {self._dataset.key} cannot be merged")
        counts = MergeCounts()
        for part in ordered_parts(batch, self._dataset.key):
            counts += self._append(part) if self._is_new(part) else self._merge(part)
            last = part.column(self._dataset.key)[-1].as_py()
            self._last_key = last if self._last_key is None else max(self._last_key, last)
        return counts

    @property
    def _heeds_deletions(self) -> bool:
        return self._found.has_tombstones or self._found.sweep is not None

    def _is_new(self, part: pa.RecordBatch) -> bool:
        """Return True if every key is greater than the table's last and the dataset has no deletions."""
        if self._heeds_deletions:
            return False
        return self._last_key is None or part.column(self._dataset.key)[0].as_py() > self._last_key

    def _append(self, part: pa.RecordBatch) -> MergeCounts:
        if not self._database.append(self._dataset.name, part, self._marks):
            return self._merge(part)
        return MergeCounts(inserted=part.num_rows)

    def _merge(self, part: pa.RecordBatch) -> MergeCounts:
        rows, written = part.num_rows, MergeCounts()
        if self._is_plainly_newer and not self._staging.has_notes:
            written = MergeCounts(*write_newer(self._database, self._dataset, part, self._marks))
            if written.total == rows:
                return written
        # A replay records what it confirms, and a late row may be older than a stored one that is identical.
        if not (self._is_behind or self._found.origin.is_replay):
            known = is_known(self._database, self._dataset, part, self._found.origin.source)
            part = part if known is None else part.filter(pc.invert(known))
            self._is_plainly_newer = part.num_rows == rows and not self._heeds_deletions
        outcomes = self._staging.merge(part) if part.num_rows else Counter[str]()
        inserted, updated, stale = (outcomes[name] for name in ("inserted", "updated", "stale"))
        written += MergeCounts(inserted, updated, 0, stale)
        return written + MergeCounts(unchanged=rows - written.total)


def read_watermark(database: Database, dataset: str, source: str) -> str | None:
    """Return the watermark of this source, or None if it has none yet."""
    rows = database.execute("SELECT value FROM watermark WHERE dataset = ? AND source = ?", [dataset, source])
    return rows[0][0] if rows else None


def save_watermark(
    database: Database, dataset: str, source: str, value: str, *, run_id: str, now: str
) -> None:
    """Move the watermark forward to `value`; it never goes back."""
    database.execute(
        """INSERT INTO watermark VALUES (?, ?, ?, ?, ?) ON CONFLICT (dataset, source) DO UPDATE SET
        value = excluded.value, run_id = excluded.run_id, updated_at = excluded.updated_at
        WHERE excluded.value > watermark.value""",
        [dataset, source, value, run_id, now],
    )


def ordered_parts(batch: pa.RecordBatch, key: str) -> list[pa.RecordBatch]:
    """Sort a batch by key and split it so that no part has a key twice, keeping the order of its versions."""
    keys = batch.column(key)
    if not len(keys):
        return []
    if all_true(pc.less(keys[:-1], keys[1:])):
        return [batch]
    batch = batch.take(pc.sort_indices(keys))  # stable
    keys = batch.column(key)
    begins = np.r_[True, mask(pc.not_equal(keys[:-1], keys[1:]))]
    rows = np.arange(len(keys))
    occurrence = rows - np.maximum.accumulate(np.where(begins, rows, 0))
    return [batch.filter(pa.array(occurrence == turn)) for turn in range(occurrence.max() + 1)]
