"""Merging rows into a dataset's table by the merge rule, and the watermark."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import Mask, mask, pc
from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage.cursors import as_cursor
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.deletions import (
    delete_marked,
    has_accepted,
    has_tombstones,
)
from notebook_pipeline.storage.extraction_order import is_behind, rejected_keys
from notebook_pipeline.storage.fast_merge import is_known, write_newer
from notebook_pipeline.storage.key_order import ascends, keys_from_text, places_of, repeated, sorted_by_key
from notebook_pipeline.storage.merge_counts import MergeCounts
from notebook_pipeline.storage.merge_rule import Circumstances
from notebook_pipeline.storage.parent_rows import ruling_parents
from notebook_pipeline.storage.staging import Staging
from notebook_pipeline.storage.sweeps import Reading, last_sweeps


class Merge:
    """Merge batches of valid rows into a dataset's table, inside the caller's transaction.

    Every row follows the merge rule (see merge_rule.py). Three kinds need no staging for that: rows with keys
    greater than the table's last are new, rows that are stored already are unchanged, and rows with a greater
    cursor than the stored ones win if nothing is recorded of deletions and `row_place` is empty. With
    `accepted_until`, the moment of a sweep, rows older than the stored ones are accepted as well. `parents`
    are the datasets of which this one is a child: a stored parent may decide over rows of the child's files.
    """

    def __init__(
        self,
        database: Database,
        dataset: Dataset,
        *,
        run_id: str,
        origin: Origin,
        place: str,
        accepted_until: str | None = None,
        parents: Sequence[Nested] = (),
    ) -> None:
        self._database = database
        self._dataset = dataset
        self._is_behind = is_behind(database, dataset.name, run_id, origin, place)
        self._found = Circumstances(
            origin,
            run_id,
            place,
            # A load that runs side by side with this one may come before or after it.
            is_behind=self._is_behind or (database.is_shared and origin.kind.side_by_side),
            has_tombstones=has_tombstones(database, dataset.name),
            has_accepted=has_accepted(database, dataset.name),
            sweeps=last_sweeps(database, dataset.name),
            accepted_until=accepted_until,
            parents=ruling_parents(database, parents, origin),
        )
        self._marks = {"_run_id": run_id, "_source": origin.source}
        # If the last batch had no row that is stored already, the next one is likely to have none either.
        self._is_plainly_newer = False
        self._staging = Staging(database, dataset, self._found)
        self._rejected: list[str] | None = None
        self._last_key = self._read_last_key()

    @property
    def examples(self) -> Mapping[str, Sequence[tuple]]:
        """Return the keys of the first rows that were `repeated` in their file or `older` than the stored."""
        return self._staging.examples

    @property
    def noted(self) -> Counter[str]:
        """Return the numbers of rows that were `repeated` in their file or `older` than the stored ones."""
        return self._staging.noted

    def add(self, batch: pa.RecordBatch) -> MergeCounts:
        """Merge one batch, with the dataset's columns in stored types, and return the counts."""
        self._refuse_nulls(batch)
        keys = self._dataset.keys
        if not len(batch):
            return MergeCounts()
        rows, rising = sorted_by_key(self._database.encoded(batch), keys)
        last = rows.slice(len(rows) - 1).select(list(keys))
        counts, several = MergeCounts(), repeated(rising)
        if several.any():
            counts += self._staging.merge(rows.filter(pa.array(several)), has_versions=True)
            rows = rows.filter(pa.array(~several))
        if len(rows):
            counts += self._append(rows) if self._is_new(rows) else self._merge(rows)
        if self._last_key is None or not self._is_beyond(last):
            self._last_key = last
        return counts

    def add_parents(self, batch: pa.RecordBatch) -> tuple[MergeCounts, pa.Array]:
        """Merge one batch as `add` does; return also the numbers of the rows whose children follow them.

        These are the rows that are now stored, each key once: no later reading has another version of them.
        """
        self._refuse_nulls(batch)
        keys, encoded = self._dataset.keys, self._database.encoded(batch)
        if not len(batch):
            return MergeCounts(), pa.array([], pa.int64())
        order = pc.sort_indices(encoded, [(name, "ascending") for name in keys])
        rows = encoded.take(order)
        counts = self._staging.merge(rows, has_versions=not ascends(rows, keys).all())
        return counts, order.take(pa.array(self._staging.winners(), pa.int64()))

    @property
    def is_behind(self) -> bool:
        """Return True if rows of a later extraction may be stored."""
        return self._found.is_behind

    def delete(self, keys: pa.RecordBatch, moment: str) -> MergeCounts:
        """Delete the rows that a live source has marked as deleted, each key once, and return the counts.

        A marker counts as updated if it removed a row, as stale if a later or newer row is stored, and
        otherwise as unchanged.
        """
        reading = Reading(self._found.run_id, self._found.origin, self._found.place, moment)
        deleted, lost = delete_marked(self._database, self._dataset, keys, reading)
        return MergeCounts(updated=deleted, stale=lost, unchanged=len(keys) - deleted - lost)

    def _refuse_nulls(self, batch: pa.RecordBatch) -> None:
        for name in self._dataset.keys:
            if batch.column(name).null_count:
                raise PipelineError(f"{self._dataset.name}: a row without {name} cannot be merged")

    def _read_last_key(self) -> pa.RecordBatch | None:
        """Return the greatest key of the table, or None if it is empty."""
        keys = list(map(quoted, self._dataset.keys))
        descending = ", ".join(f"{name} DESC" for name in keys)
        found = self._database.query(
            f"SELECT {', '.join(keys)} FROM {quoted(self._dataset.name)} ORDER BY {descending} LIMIT 1"
        )
        return found.to_batches()[0] if found.num_rows else None

    def _is_beyond(self, rows: pa.RecordBatch) -> bool:
        """Return True if the table's last key is not less than the first of these rows."""
        if self._last_key is None:
            return False
        keys = self._dataset.keys
        types = [rows.schema.field(name).type for name in keys]
        last = [column.cast(kind) for column, kind in zip(self._last_key.columns, types, strict=True)]
        both = [pa.concat_arrays([one, rows.column(name)[:1]]) for one, name in zip(last, keys, strict=True)]
        return not ascends(pa.RecordBatch.from_arrays(both, list(keys)), keys)[0]

    def _is_new(self, rows: pa.RecordBatch) -> bool:
        """Return True if every key is greater than the table's last and nothing is recorded of deletions."""
        return not (self._found.has_statements or self._is_accepting or self._is_beyond(rows))

    @property
    def _is_accepting(self) -> bool:
        return self._found.accepted_until is not None

    def _append(self, rows: pa.RecordBatch) -> MergeCounts:
        if not self._database.append(self._dataset.name, rows, self._marks):
            return self._merge(rows)
        return MergeCounts(inserted=rows.num_rows)

    def _merge(self, rows: pa.RecordBatch) -> MergeCounts:
        count, written = rows.num_rows, MergeCounts()
        if self._is_plainly_newer and not self._staging.has_notes:
            written = MergeCounts(*write_newer(self._database, self._dataset, rows, self._marks))
            if written.total == count:
                return written
        # A replay records what it confirms, and a late row may be older than a stored one that is identical.
        if not (self._is_behind or self._staging.notes_all or self._is_accepting):
            known = self._known(rows)
            rows = rows if known is None else rows.filter(pa.array(~known))
            self._is_plainly_newer = rows.num_rows == count and not self._found.has_statements
        staged = self._staging.merge(rows) if len(rows) else MergeCounts()
        # Rows that were written at once above are found identical now.
        written += replace(staged, unchanged=0)
        return replace(written, unchanged=count - written.total)

    def _known(self, rows: pa.RecordBatch) -> Mask | None:
        """Return which rows are stored already, without those of which a rejected version may be replayed."""
        is_live = self._found.origin.kind.is_live
        known = is_known(self._database, self._dataset, rows, is_live=is_live)
        if known is None or not known.any():
            return known
        if self._rejected is None:
            self._rejected = rejected_keys(self._database, self._dataset)
        keys = self._dataset.keys
        awaited = keys_from_text(self._rejected, rows.select(list(keys)).schema)
        return known & mask(places_of(rows, awaited, keys).is_null())


def read_watermark(database: Database, dataset: str, source: str) -> str | None:
    """Return the watermark of this source, or None if it has none yet."""
    rows = database.execute("SELECT value FROM watermark WHERE dataset = ? AND source = ?", [dataset, source])
    return rows[0][0] if rows else None


def save_watermark(
    database: Database, dataset: Dataset, source: str, value: str, *, run_id: str, now: str
) -> None:
    """Move the watermark forward to `value`, a cursor's text; it never goes back."""
    is_later = f"{as_cursor(dataset, 'excluded.value')} > {as_cursor(dataset, 'watermark.value')}"
    database.execute(
        f"""INSERT INTO watermark VALUES (?, ?, ?, ?, ?) ON CONFLICT (dataset, source) DO UPDATE SET
        value = excluded.value, run_id = excluded.run_id, updated_at = excluded.updated_at
        WHERE {is_later}""",
        [dataset.name, source, value, run_id, now],
    )
