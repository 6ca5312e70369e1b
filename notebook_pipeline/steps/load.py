"""The merge of a run's batches, and the comparison with its source, inside one transaction."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.check_batch import Checked, Rejected
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import DataRefused, PipelineError
from notebook_pipeline.number_texts import counted
from notebook_pipeline.steps.child_load import ChildLoad
from notebook_pipeline.steps.prefetch import prefetched
from notebook_pipeline.steps.reading_moment import Cursor, moment_of, newest_until_then
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import deletions, ledger
from notebook_pipeline.storage.children import Children
from notebook_pipeline.storage.key_order import key_columns
from notebook_pipeline.storage.merge import Merge, read_watermark
from notebook_pipeline.storage.merge_counts import MergeCounts
from notebook_pipeline.storage.sweeps import Reading


@dataclass
class Load:
    """The merge of batches inside one open transaction, with the counts of all rows.

    `newest` and `oldest` are cursors of all good rows; `newest_until_then` leaves out rows that are later
    than the moment at which reading began.
    """

    session: Session
    dataset: Dataset
    origin: Origin
    limits: Limits
    place: str
    rows_read: int = 0
    rows_rejected: int = 0
    rows_deleted: int = 0
    rows_missing: int | None = None
    in_table_and_source: tuple[int, int] | None = None
    merged: MergeCounts = field(default_factory=MergeCounts)
    newest: Cursor | None = None
    newest_until_then: Cursor | None = None
    oldest: Cursor | None = None
    noted: Counter[str] = field(default_factory=Counter)
    examples: Mapping[str, Sequence[tuple]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    filter_problem: str = ""
    children: dict[str, ChildLoad] = field(default_factory=dict)

    def merge(
        self,
        batches: Iterable[Checked],
        progress: Callable[[int, float | None], object] = lambda rows, share: None,
    ) -> None:
        """Merge good rows batch by batch, reading and checking the next while the last is written.

        `progress` is called with the rows of each batch and the fraction of the source that is read, if
        known.
        """
        merge = Merge(
            self.session.database,
            self.dataset,
            run_id=self.session.run_id,
            origin=self.origin,
            place=self.place,
            accepted_until=self._moment() if self.origin.accept_older else None,
            parents=self.session.parents,
        )
        self._open_children(is_behind=merge.is_behind)
        with closing(prefetched(batches)) as ahead:
            for batch in ahead:
                self._merge_batch(merge, batch)
                self._account(batch)
                if batch.marked:
                    self._delete_marked(merge, batch.marked)
                progress(batch.read, batch.share)
        self.noted, self.examples = merge.noted, merge.examples

    def _open_children(self, *, is_behind: bool) -> None:
        for number, nested in enumerate(self.session.children):
            children = Children(
                self.session.database,
                nested,
                number=number,
                run_id=self.session.run_id,
                origin=self.origin,
                place=self.place,
                is_behind=is_behind,
            )
            self.children[nested.dataset.name] = ChildLoad(children)

    def _merge_batch(self, merge: Merge, batch: Checked) -> None:
        if not self.children:
            self.merged += merge.add(batch.good)
            return
        counts, winners = merge.add_parents(batch.good)
        self.merged += counts
        for name, rows in batch.children.items():
            self.children[name].replace(rows, batch.good, winners)

    def _delete_marked(self, merge: Merge, keys: pa.RecordBatch) -> None:
        distinct = pa.Table.from_batches([keys]).group_by(keys.schema.names).aggregate([])
        counts = MergeCounts(unchanged=len(keys) - distinct.num_rows)
        for batch in distinct.select(keys.schema.names).to_batches():
            counts += merge.delete(batch, self._moment())
            self._delete_children()
        self.merged += counts
        self.rows_deleted += counts.updated

    def compare_keys(self, present: pa.Array, *, delete: bool, max_deleted_percent: float) -> None:
        """Find stored rows whose key is missing at the source; if `delete`, delete them with tombstones.

        `present` are the keys that the source has, as structs if the key has several columns.
        Raises DataRefused if they are more than `max_deleted_percent` of the table.
        """
        database, reading = self.session.database, self._reading()
        self.rows_missing = deletions.find_missing(
            database, self.dataset, key_columns(self.dataset, present), reading
        )
        if delete:
            self.rows_deleted += deletions.delete_missing(
                database, self.dataset, reading, max_percent=max_deleted_percent
            )
            self._delete_children()

    def _delete_children(self) -> None:
        """Delete the children of the parents that were deleted last."""
        for child in self.children.values():
            child.delete_missing()

    def _moment(self) -> str:
        return moment_of(self.dataset, self.origin, self.newest)

    def _reading(self) -> deletions.Reading:
        return Reading(self.session.run_id, self.origin, self.place, self._moment())

    def compare_count(self, source_count: int | None) -> bool:
        """Save whether the table has as many rows as the source; a difference is only a warning.

        A source without a count (None) is not compared.
        """
        if source_count is None:
            return True
        stored = ledger.stored_rows(self.session.database, self.dataset.name)
        finding = {
            "check_name": ledger.SOURCE_COUNT,
            "severity": "warn",
            "passed": stored == source_count,
            "measured": stored,
            "measured_number": stored,
            "expected": source_count,
        }
        ledger.save_results(self.session.database, self.session.run_id, self.dataset.name, [finding])
        self.in_table_and_source = stored, source_count
        return stored == source_count

    def verify(self) -> None:
        """Check the limits of rejected rows and the sum of all counts, before anything is committed.

        Raises DataRefused above a limit, PipelineError if the counts do not add up.
        """
        self._check_rejected(self.dataset.name, self.rows_rejected, self.rows_read, self.rejected)
        for name, child in self.children.items():
            self._check_rejected(name, child.rows_rejected, child.rows_read, child.rejected)
            child.verify(name)
        if self.merged.total + self.rows_rejected != self.rows_read:
            raise PipelineError(
                f"{self.dataset.name}: read {counted(self.rows_read, 'row')}, merged {self.merged.total:,} "
                f"and rejected {self.rows_rejected:,}; nothing was committed. This is a bug in the pipeline"
            )

    def _check_rejected(self, name: str, rejected: int, read: int, kept: Sequence[Rejected]) -> None:
        """Raise DataRefused if a dataset has too many rejected rows."""
        exceeded = self.limits.exceeded_by(rejected, read, is_live=self.origin.kind.is_live)
        if exceeded:
            raise DataRefused(
                f"{name}: {rejected:,} of {read:,} rows were rejected, "
                f"more than {exceeded} allows; nothing was merged. The first is {_first(kept)}. "
                f"List them with `notebook-pipeline show {self.session.run_id}`; fix them or raise the limit"
            )

    def counts(self) -> dict[str, int]:
        """Return the run's counts, named as in `pipeline_run`."""
        return self.merged.named(read=self.rows_read, rejected=self.rows_rejected, deleted=self.rows_deleted)

    def result(self) -> dict[str, object]:
        """Return the result of the run: its counts and the new watermark, all small and plain."""
        watermark = read_watermark(self.session.database, self.dataset.name, self.origin.source)
        found: dict[str, object] = {} if self.rows_missing is None else {"rows_missing": self.rows_missing}
        if self.in_table_and_source:
            found["rows_in_table"], found["rows_in_source"] = self.in_table_and_source
        if self.noted["repeated"]:
            found["rows_with_repeated_key"] = self.noted["repeated"]
        if self.noted["older"] and self.rows_missing is not None:
            found["rows_older_than_stored"] = self.noted["older"]
            found["older_keys"] = [", ".join(map(str, key)) for key in self.examples["older"]]
        if self.filter_problem:
            found["filter"] = self.filter_problem
        if self.children:
            found["children"] = {name: child.counts() for name, child in self.children.items()}
        return {"dataset": self.dataset.name, **self.counts(), **found, "watermark": watermark}

    def _account(self, batch: Checked) -> None:
        self.rows_read += batch.read
        self.rows_rejected += batch.rejected_count
        self.rejected += batch.rejected[: ledger.KEPT_REJECTED_ROWS - len(self.rejected)]
        if batch.good.num_rows and self.dataset.cursor:
            self._account_cursors(batch.good.column(self.dataset.cursor))

    def _account_cursors(self, cursors: pa.Array) -> None:
        oldest, newest = pc.min_max(cursors).as_py().values()
        self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)
        self.newest = newest if self.newest is None else max(self.newest, newest)
        then = newest_until_then(self.dataset, self.origin, cursors, newest)
        known = [value for value in (self.newest_until_then, then) if value is not None]
        self.newest_until_then = max(known, default=None)


def _first(rejected: Sequence[Rejected]) -> str:
    return f"{rejected[0].position}: {'; '.join(rejected[0].reasons)}" if rejected else "not stored"
