"""A new kind of source is one class: nothing else of the engine has to know it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import loads
import pyarrow as pa
import pytest

from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.source_kind import SourceKind
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.sources.source import BeginAgain, Ending
from notebook_pipeline.steps import extract
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.merge import read_watermark

DAY_1, DAY_2 = "2024-01-05", "2024-01-06"
MEMORY = SourceKind("memory", is_live=True, is_read_first=True)

pytestmark = pytest.mark.usefixtures("each_database", "home")


@dataclass
class MemorySource:
    """Rows out of a list; what came before a `None` is void."""

    rows: list[loads.Row | None]
    name: str = "a list"
    kind: SourceKind = MEMORY
    acknowledged: list[str] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    keys_again: list[int] | None = None
    readings: int = 0

    def batches(self) -> Iterator[RawBatch | BeginAgain]:
        for number, row in enumerate(self.rows):
            if row is None:
                yield BeginAgain()
                continue
            names = [column.name for column in loads.PLAYER.schema]
            received = dict(zip(names, loads.stored(row), strict=True))
            yield RawBatch([received], position=lambda _, number=number: f"item {number}")

    def ending(self) -> Ending:
        origin = Origin(self.kind, acknowledge=lambda: self.acknowledged.append("all"))
        has_keys = self.keys_again is not None
        return Ending(
            origin,
            ["from memory"],
            len(self.rows),
            keys=pa.array(self.keys, pa.int64()),
            shows_missing=has_keys,
            read_keys_again=self.read_again if has_keys else None,
        )

    def read_again(self) -> pa.Array:
        self.readings += 1
        return pa.array(self.keys_again, pa.int64())


def merge(session: Session, source: MemorySource, limits: Limits = loads.ANY_NUMBER) -> None:
    opened = extract.open_source(session, source)
    assert opened.notes == ["from memory"]
    with transaction(session, opened.origin, limits) as merging:
        merging.merge(opened.batches)
        assert source.acknowledged == []
        merging.verify()


def run(database: Database, *rows: loads.Row | None, limits: Limits = loads.ANY_NUMBER) -> str:
    session, _ = loads.start(database)
    source = MemorySource(list(rows))
    merge(session, source, limits)
    assert source.acknowledged == ["all"]
    ledger.finish_run(database, session.run_id, "success")
    return session.run_id


def test_its_rows_are_merged_counted_and_lead_back_to_their_run(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        run_id = run(database, (9, "void", DAY_1), None, (1, "a", DAY_1), (2, "b", DAY_2))
        expected = [(1, "a", DAY_1, run_id, "memory"), (2, "b", DAY_2, run_id, "memory")]
        assert loads.players(database) == expected
        counts = loads.counts(database, run_id)
        assert (counts["read"], counts["inserted"]) == (2, 2)
        assert read_watermark(database, "player", "memory") == DAY_2


def test_as_a_live_source_it_wins_a_tie_over_bulk_and_over_an_earlier_reading(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        first = loads.run(database, loads.API, loads.checked([(1, "api", DAY_1), (2, "same", DAY_1)]))
        run(database, (1, "later", DAY_1))
        loads.run(database, loads.BULK, loads.checked([(1, "bulk", DAY_1), (3, "same", DAY_1)]))
        run(database, (3, "same", DAY_1))
        names = [(key, name, source) for key, name, _, _, source in loads.players(database)]
        assert names == [(1, "later", "memory"), (2, "same", "api"), (3, "same", "memory")]
        assert loads.players(database)[1][3] == first


def test_its_rejected_rows_are_kept_and_replayed(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        rejecting = run(database, (1, "late", "2999-01-01"), (2, "b", DAY_1))
        replayed = loads.replay(database, loads.PLAYER, rejecting)
        assert (replayed.rows, replayed.origin.kind.name) == (1, "memory")
        assert rejecting < replayed.origin.place < run(database, (3, "c", DAY_1))
        assert [batch.position(0) for batch in replayed.batches] == ["item 0"]


def test_it_is_not_told_that_its_rows_are_safe_if_they_are_refused(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        session, _ = loads.start(database)
        source = MemorySource([(1, "late", "2999-01-01")])
        with pytest.raises(DataRefused):
            merge(session, source, Limits(max_rejected_rows=0))
        assert source.acknowledged == []


@pytest.mark.parametrize(("name", "is_live"), [("bulk", True), ("memory", False)])
def test_only_bulk_loads_are_stored_as_bulk(name: str, is_live: bool) -> None:
    with pytest.raises(ValueError, match="bulk kinds, and only those"):
        SourceKind(name, is_live=is_live)


@pytest.mark.parametrize(
    ("keys", "again", "readings", "missing"),
    [
        ([1, 2, 3], [1, 2, 3], 0, []),  # the first reading has every stored row
        ([2, 3], [1, 2], 1, []),  # each row is in one of two readings: rows moved while they were read
        ([2, 3], [2, 3], 1, [1]),
    ],
)
def test_a_row_is_missing_only_if_two_readings_lack_it(
    tmp_path: Path, keys: list[int], again: list[int], readings: int, missing: list[int]
) -> None:
    with loads.open_database(tmp_path) as database:
        run(database, (1, "a", DAY_1), (2, "b", DAY_1), (3, "c", DAY_1))
        source = MemorySource([], keys=keys, keys_again=again)
        session, _ = loads.start(database)
        opened = extract.open_source(session, source)
        with transaction(session, opened.origin, loads.ANY_NUMBER) as merging:
            merging.merge(opened.batches)
            merging.compare_keys(opened.keys, delete=True, max_deleted_percent=100.0)
        assert source.readings == readings
        assert [row[0] for row in loads.rows_of(database)] == sorted({1, 2, 3} - set(missing))
