"""The rows of a child dataset, which follow those of their parents: replaced with them, deleted with them."""

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.check_batch import NestedRows
from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.deletions import write_keys
from notebook_pipeline.storage.key_order import sorted_by_key
from notebook_pipeline.storage.keys import key_text
from notebook_pipeline.storage.merge_counts import MergeCounts
from notebook_pipeline.storage.merge_rule import Circumstances
from notebook_pipeline.storage.staging import Staging
from notebook_pipeline.storage.versions import are_same


class Children:
    """The child rows of one extraction's parents, written inside the caller's transaction.

    `number` tells the children of one dataset apart. `is_behind` is True if parents of a later extraction may
    be stored.
    """

    def __init__(
        self,
        database: Database,
        nested: Nested,
        *,
        number: int,
        run_id: str,
        origin: Origin,
        place: str,
        is_behind: bool,
    ) -> None:
        self._database = database
        self._nested = nested
        self._dataset = nested.dataset
        self._table = quoted(nested.dataset.name)
        found = Circumstances(
            origin,
            run_id,
            place,
            is_behind=is_behind,
            has_tombstones=False,
            has_accepted=False,
            sweeps=(),
            follow=nested,
        )
        self._staging = Staging(database, nested.dataset, found, suffix=f"_{number}")

    def replace(
        self, rows: NestedRows, parents: pa.RecordBatch, winners: pa.Array
    ) -> tuple[MergeCounts, int]:
        """Replace the children of those parents in a batch that have won, and leave those of others.

        `winners` are the numbers of the parents that have won. A child of several parents follows the last
        one. Return the counts of the child rows, and the number of stored ones that were deleted.
        """
        follows = pc.is_in(rows.parents, winners)
        good = self._database.encoded(rows.good.filter(follows))
        counts = MergeCounts(stale=rows.good.num_rows - len(good))
        kept, replaced = self._last_versions(good)
        counts += replaced
        if len(kept):
            counts += self._staging.merge(kept)
        present = [rows.good.filter(follows), rows.present.filter(pc.is_in(rows.present_in, winners))]
        certain = pc.and_(pc.is_in(rows.stated, winners), pc.invert(pc.is_in(rows.stated, rows.unclear)))
        return counts, self._delete_others(parents.take(rows.stated.filter(certain)), present)

    def delete_missing(self) -> int:
        """Delete the children of the parents whose keys are in the temporary table `_missing`."""
        return self._delete(self._of_parents("_missing"))

    def _last_versions(self, rows: pa.RecordBatch) -> tuple[pa.RecordBatch, MergeCounts]:
        """Return the last row of each key, in the order of the keys, and the counts of those before them."""
        keys = self._dataset.keys
        rows, rising = sorted_by_key(rows, keys)
        is_replaced = np.r_[~rising, np.zeros(min(len(rows), 1), bool)]
        earlier = np.flatnonzero(is_replaced)
        same = int(are_same(rows, earlier, earlier + 1).sum()) if len(earlier) else 0
        return rows.filter(pa.array(~is_replaced)), MergeCounts(updated=len(earlier) - same, unchanged=same)

    def _delete_others(self, parents: pa.RecordBatch, present: list[pa.RecordBatch]) -> int:
        """Delete the stored rows of these parents that are not among those present."""
        if not len(parents):
            return 0
        keys = list(self._dataset.keys)
        write_keys(
            self._database, self._nested.parent, "_parents", parents.select(list(self._nested.parent.keys))
        )
        columns = [pa.concat_arrays([rows.column(name) for rows in present]) for name in keys]
        there = pa.RecordBatch.from_arrays(columns, keys)
        write_keys(self._database, self._dataset, "_nested", there)
        same = " AND ".join(f"q.{name} = c.{name}" for name in map(quoted, keys))
        missing = f"NOT EXISTS (SELECT 1 FROM _nested q WHERE {same})"
        return self._delete(f"{self._of_parents('_parents')} AND {missing}")

    def _of_parents(self, table: str) -> str:
        """Return the condition that the parent of a stored row c has its key in a temporary table."""
        columns = ", ".join(f"c.{quoted(name)}" for name in self._nested.key_of_parent)
        keys = ", ".join(map(quoted, self._nested.parent.keys))
        return f"({columns}) IN (SELECT {keys} FROM {table})"

    def _delete(self, condition: str) -> int:
        rows = f"{self._table} c WHERE {condition}"
        count = self._database.execute(f"SELECT count(*) FROM {rows}")[0][0]
        if count:
            text = key_text(self._database, self._dataset, "c")
            self._database.execute(
                f"DELETE FROM row_place WHERE dataset = ? AND key IN (SELECT {text} FROM {rows})",
                [self._dataset.name],
            )
            self._database.execute(f"DELETE FROM {self._table} AS c WHERE {condition}")
        return count
