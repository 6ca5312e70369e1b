"""The load of checked batches in one transaction: rows, deletions, watermark and counts, or nothing."""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, cast

import pyarrow as pa

from notebook_pipeline import settings
from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.check_batch import Checked, Rejected
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import DataRefused, PipelineError
from notebook_pipeline.number_texts import counted
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import deletions, extraction_order, ledger
from notebook_pipeline.storage.cursors import NO_CURSOR, cursor_text, cursor_type
from notebook_pipeline.storage.merge import Merge, MergeCounts, read_watermark, save_watermark
from notebook_pipeline.storage.tables import add_missing_columns

T = TypeVar("T")
Cursor = str | datetime | int

BATCHES_AHEAD = 2


@dataclass(frozen=True)
class Limits:
    """The limits of rejected rows; if `max_rejected_rows` is -1, only the percentage applies."""

    max_rejected_rows: int = -1
    max_rejected_percent: float = 1.0

    def exceeded_by(self, rejected: int, read: int) -> str | None:
        """Return the limit that the number of rejected rows exceeds, as text, or None."""
        if 0 <= self.max_rejected_rows < rejected:
            return f"max_rejected_rows = {self.max_rejected_rows}"
        if rejected > read * self.max_rejected_percent / 100:
            return f"max_rejected_percent = {self.max_rejected_percent}"
        return None


@dataclass
class Load:
    """The merge of batches inside one open transaction, with the counts of all rows."""

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
    noted: Counter[str] = field(default_factory=Counter)
    examples: Mapping[str, Sequence[tuple]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)

    def merge(
        self,
        batches: Iterable[Checked],
        progress: Callable[[int, float | None], object] = lambda rows, share: None,
        *,
        accept_older: bool = False,
    ) -> None:
        """Merge good rows batch by batch, reading and checking the next while the last is written.

        `progress` is called with the rows of each batch and the fraction of the source that is read, if
        known. With `accept_older`, rows of a full sweep win over newer stored ones that were read before.
        """
        merge = Merge(
            self.session.database,
            self.dataset,
            run_id=self.session.run_id,
            origin=self.origin,
            place=self.place,
            accepted_until=self.moment if accept_older else None,
        )
        with closing(prefetched(batches)) as ahead:
            for batch in ahead:
                self.merged += merge.add(batch.good)
                self._account(batch)
                progress(batch.read, batch.share)
        self.noted, self.examples = merge.noted, merge.examples

    def compare_keys(self, present: pa.RecordBatch, *, delete: bool, max_deleted_percent: float) -> None:
        """Find stored rows whose key is missing at the source; if `delete`, delete them with tombstones.

        Raises DataRefused if they are more than `max_deleted_percent` of the table.
        """
        database, reading = self.session.database, self._reading()
        self.rows_missing = deletions.find_missing(database, self.dataset, present, reading)
        if delete:
            self.rows_deleted = deletions.delete_missing(
                database, self.dataset, reading, max_percent=max_deleted_percent
            )

    @property
    def moment(self) -> str:
        """Return the moment of which this reading speaks, as a cursor's text.

        It is the day or the time at which reading began, or the highest number read; for a bulk file, whose
        time is not known, the newest cursor in it.
        """
        kind = cursor_type(self.dataset)
        newest = "" if self.newest is None else cursor_text(self.newest)
        if kind is None:
            return NO_CURSOR
        if pa.types.is_integer(kind):
            return str(max(filter(None, [self.origin.highest, self.newest]), default=0))
        if not self.origin.kind.is_live:
            return newest
        return max(began(self.origin, kind), newest)

    def _reading(self) -> deletions.Reading:
        return deletions.Reading(self.session.run_id, self.origin, self.place, self.moment)

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
        exceeded = self.limits.exceeded_by(self.rows_rejected, self.rows_read)
        if exceeded:
            raise DataRefused(
                f"{self.dataset.name}: {self.rows_rejected:,} of {self.rows_read:,} rows were rejected, "
                f"more than {exceeded} allows; nothing was merged. The first is {self._first_rejected()}. "
                f"List them with `notebook-pipeline show {self.session.run_id}`; fix them or raise the limit"
            )
        if self.merged.total + self.rows_rejected != self.rows_read:
            raise PipelineError(
                f"{self.dataset.name}: read {counted(self.rows_read, 'row')}, merged {self.merged.total:,} "
                f"and rejected {self.rows_rejected:,}; nothing was committed. This is a bug in the pipeline"
            )

    def counts(self) -> dict[str, int]:
        """Return the run's counts, named as in `pipeline_run`."""
        return {
            "rows_read": self.rows_read,
            "rows_inserted": self.merged.inserted,
            "rows_updated": self.merged.updated,
            "rows_unchanged": self.merged.unchanged,
            "rows_stale": self.merged.stale,
            "rows_rejected": self.rows_rejected,
            "rows_deleted": self.rows_deleted,
        }

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
        return {"dataset": self.dataset.name, **self.counts(), **found, "watermark": watermark}

    def _account(self, batch: Checked) -> None:
        self.rows_read += batch.read
        self.rows_rejected += batch.rejected_count
        self.rejected += batch.rejected[: ledger.KEPT_REJECTED_ROWS - len(self.rejected)]
        if batch.good.num_rows and self.dataset.cursor:
            newest = pc.max(batch.good.column(self.dataset.cursor)).as_py()
            self.newest = newest if self.newest is None else max(self.newest, newest)

    def _first_rejected(self) -> str:
        if not self.rejected:
            return "not stored"
        first = self.rejected[0]
        return f"{first.position}: {'; '.join(first.reasons)}"


@contextmanager
def transaction(session: Session, origin: Origin, limits: Limits) -> Iterator[Load]:
    """Open the one transaction of a run; rows are committed together with the counts at its end.

    Rejected rows are saved even if they are the reason for refusing the load.
    """
    database, dataset, added = session.database, session.dataset, session.missing_columns
    load = None
    try:
        with database.transaction():
            # Loads of some kinds may run side by side if the database supports that; others run alone.
            is_shared = origin.kind.side_by_side and not origin.is_replay and not added
            database.lock(dataset.name, shared=is_shared)
            if added:
                add_missing_columns(database, dataset)
            place = extraction_order.take_place(database, dataset.name, session.run_id, origin)
            extraction_order.save_extraction(database, session.run_id, dataset.name, origin, place)
            load = Load(session, dataset, origin, limits, place)
            yield load
            load.verify()
            _commit(load)
        origin.acknowledge()
    except DataRefused:
        if load:
            with database.transaction():
                extraction_order.save_extraction(database, session.run_id, dataset.name, origin, load.place)
                _save_rejected(load)
                ledger.refuse_run(database, session.run_id, load.rows_read, load.rows_rejected)
        raise


def prefetched(items: Iterable[T]) -> Generator[T]:
    """Yield the items, computing the next ones in a thread while the last is used."""
    end = object()
    source = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as reader:
        ahead = deque(reader.submit(next, source, end) for _ in range(BATCHES_AHEAD))
        try:
            while (item := ahead.popleft().result()) is not end:
                ahead.append(reader.submit(next, source, end))
                yield cast("T", item)
        finally:
            reader.shutdown(wait=False, cancel_futures=True)


def began(origin: Origin, kind: pa.DataType) -> str:
    """Return the moment at which reading began as the text of a cursor that is a day or a moment."""
    moment = origin.began or settings.now()
    if pa.types.is_date(kind):
        return origin.day or moment.date().isoformat()
    return cursor_text(moment)


def _commit(load: Load) -> None:
    database, run_id = load.session.database, load.session.run_id
    name, origin = load.dataset.name, load.origin
    before = read_watermark(database, name, origin.source)
    # After a column was added, no live run may start where a file ends: it has to read everything.
    is_whole = origin.kind.is_live or not load.session.missing_columns
    if load.newest is not None and origin.moves_watermark and is_whole:
        newest = _not_in_future(load, cursor_text(load.newest))
        save_watermark(database, load.dataset, origin.source, newest, run_id=run_id, now=ledger.now())
    after = read_watermark(database, name, origin.source)
    if origin.fingerprint:
        ledger.save_loaded_file(database, name, origin.fingerprint, run_id)
    _save_repeated(load)
    _save_rejected(load)
    ledger.commit_run(database, run_id, load.counts(), watermark_before=before, watermark_after=after)


def _not_in_future(load: Load, newest: str) -> str:
    """Return the newest cursor, but no day or moment after the one at which reading began."""
    kind = cursor_type(load.dataset)
    if kind is None or pa.types.is_integer(kind):
        return newest
    return min(newest, began(load.origin, kind))


def _save_repeated(load: Load) -> None:
    """Save a finding if one bulk source contains a key several times, equally new and with other values."""
    count = load.noted["repeated"]
    if not count:
        return
    finding = {
        "check_name": "repeated_key",
        "severity": "warn",
        "passed": False,
        "measured": count,
        "expected": 0,
        "sample": [list(key) for key in load.examples["repeated"]],
    }
    ledger.save_results(load.session.database, load.session.run_id, load.dataset.name, [finding])


def _save_rejected(load: Load) -> None:
    database, run_id, name = load.session.database, load.session.run_id, load.dataset.name
    ledger.save_rejected(
        database, run_id, name, [(row.position, row.row, row.reasons) for row in load.rejected]
    )
