"""The merge rule: who wins, and that no order of merging makes a difference."""

import os
import random
import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from unittest import mock

import histories
import loads
import pytest
from declared import PLAYER
from histories import Extraction, Replay
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from loads import API, BULK
from seeds import SEED

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.check_batch import check_batch
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.database import Database

pytestmark = pytest.mark.usefixtures("each_database")

OLD, NEW = "2024-01-01", "2024-01-02"


@pytest.mark.parametrize(
    ("first", "then", "row", "outcome"),
    [
        ((BULK, "a", OLD), (BULK, "b", NEW), ("b", NEW, "then", "bulk"), "updated"),
        ((BULK, "a", OLD), (API, "b", NEW), ("b", NEW, "then", "api"), "updated"),
        ((API, "a", OLD), (BULK, "b", NEW), ("b", NEW, "then", "bulk"), "updated"),
        ((API, "a", OLD), (API, "b", NEW), ("b", NEW, "then", "api"), "updated"),
        ((BULK, "a", NEW), (BULK, "b", OLD), ("a", NEW, "first", "bulk"), "stale"),
        ((BULK, "a", NEW), (API, "b", OLD), ("a", NEW, "first", "bulk"), "stale"),
        ((API, "a", NEW), (BULK, "b", OLD), ("a", NEW, "first", "api"), "stale"),
        ((API, "a", NEW), (API, "b", OLD), ("a", NEW, "first", "api"), "stale"),
        ((BULK, "a", OLD), (BULK, "b", OLD), ("b", OLD, "then", "bulk"), "updated"),
        ((BULK, "a", OLD), (API, "b", OLD), ("b", OLD, "then", "api"), "updated"),
        ((API, "a", OLD), (BULK, "b", OLD), ("a", OLD, "first", "api"), "stale"),
        ((API, "a", OLD), (API, "b", OLD), ("b", OLD, "then", "api"), "updated"),
        ((BULK, "a", OLD), (BULK, "a", OLD), ("a", OLD, "first", "bulk"), "unchanged"),
        ((API, "a", OLD), (API, "a", OLD), ("a", OLD, "first", "api"), "unchanged"),
        ((API, "a", OLD), (BULK, "a", OLD), ("a", OLD, "first", "api"), "unchanged"),
        ((BULK, "a", OLD), (API, "a", OLD), ("a", OLD, "first", "api"), "unchanged"),
    ],
)
def test_who_wins(tmp_path: Path, first, then, row, outcome: str) -> None:
    with loads.open_database(tmp_path) as database:
        runs = {
            name: loads.run(database, origin, loads.checked([(1, value, day), (2, "z", OLD)]))
            for name, (origin, value, day) in (("first", first), ("then", then))
        }
        value, day, writer, source = row
        assert loads.players(database)[0] == (1, value, day, runs[writer], source)
        other = {
            "inserted": 0,
            "updated": 0,
            "unchanged": 0,
            "stale": 0,
            "rejected": 0,
            "deleted": 0,
            "read": 2,
        }
        other[outcome] += 1
        other["unchanged"] += 1
        assert loads.counts(database, runs["then"]) == other


def test_versions_in_one_file_go_by_the_rule_in_file_order(tmp_path: Path) -> None:
    versions = [(1, "a", OLD), (1, "b", NEW), (1, "c", OLD), (1, "d", NEW), (1, "d", NEW), (2, "x", OLD)]
    with loads.open_database(tmp_path) as database:
        run = loads.run(database, BULK, loads.checked(versions))
        assert loads.players(database) == [(1, "d", NEW, run, "bulk"), (2, "x", OLD, run, "bulk")]
        assert loads.counts(database, run) == {
            "read": 6, "inserted": 2, "updated": 2, "unchanged": 1, "stale": 1, "rejected": 0, "deleted": 0
        }  # fmt: skip


def test_an_adopted_row_keeps_its_run(tmp_path: Path) -> None:
    """The same row from the API changes `_source` alone, so that no bulk row of that day undoes it."""
    with loads.open_database(tmp_path) as database:
        bulk = loads.run(database, BULK, loads.checked([(1, "a", OLD)]))
        loads.run(database, API, loads.checked([(1, "a", OLD)]))
        assert loads.players(database) == [(1, "a", OLD, bulk, "api")]
        again = loads.run(database, BULK, loads.checked([(1, "b", OLD)]))
        assert loads.players(database) == [(1, "a", OLD, bulk, "api")]
        assert loads.counts(database, again)["stale"] == 1


def test_a_null_that_stays_null_is_no_change(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        first = loads.run(database, BULK, loads.checked([(1, "a", OLD), (2, "a", OLD)]))
        loads.run(database, BULK, loads.checked([(2, "b", OLD), (1, "a", OLD)]))
        assert [row[3] == first for row in loads.players(database)] == [True, False]


class Merged:
    """Merge a history, and know the run of every extraction."""

    def __init__(self, database: Database, dice: random.Random, told: Sequence[Extraction]) -> None:
        self.database = database
        self.dice = dice
        self.runs: dict[tuple[str, int], str] = {}
        # Bulk loads that wait for each other are merged in another order than they were started.
        waiting = [one.number for one in told if one.source == "bulk" and dice.random() < 0.3]
        dice.shuffle(waiting)
        self.started = {number: loads.start(database)[0] for number in waiting}

    def merge(self, step: Extraction | Replay) -> None:
        if isinstance(step, Replay):
            self.replay(self.runs[step.of.source, step.of.number])
            return
        bad = [loads.rejected(row, step.source, f"x:{number}") for number, row in enumerate(step.bad)]
        cut = self.dice.randint(0, len(step.good))
        with mock.patch.dict(os.environ, NOTEBOOK_PIPELINE_TODAY=step.sweep or "2024-12-31"):
            self.runs[step.source, step.number] = loads.run(
                self.database,
                Origin(loads.KINDS[step.source]),
                loads.checked(step.good[:cut], bad),
                loads.checked(step.good[cut:]),
                present=[row[0] for row in step.rows] if step.sweep else None,
                session=self.started.get(step.number) if step.source == "bulk" else None,
            )

    def replay(self, run_id: str) -> None:
        """Replay what a run rejected; now and then only some of it, and then what that replay rejected."""
        rejected = loads.replay(self.database, PLAYER, run_id)
        [batch] = [check_batch(raw, PLAYER, date(2024, 12, 31)) for raw in rejected.batches]
        assert (batch.good.num_rows, batch.read) == (rejected.rows, rejected.rows)
        rows = [
            (row["player_id"], row["last_name"], row["last_changed_date"]) for row in batch.good.to_pylist()
        ]
        kept = self.dice.randint(1, len(rows))
        again = [loads.rejected(row, rejected.origin.source) for row in rows[kept:]]
        replayed = loads.run(self.database, rejected.origin, loads.checked(rows[:kept], again))
        if again:
            self.replay(replayed)


def converges(dice: random.Random, place: Path) -> None:
    """Merge a history in some order, and hold the table to what the words of the design make of it."""
    told, left = histories.tell(dice)
    last = Extraction("api", sum(one.source == "api" for one in told), left, [], "2024-01-31")
    with tempfile.TemporaryDirectory(dir=place) as folder, loads.open_database(Path(folder)) as database:
        merged = Merged(database, dice, told)
        for step in histories.merged_in_some_order(dice, told):
            merged.merge(step)
        assert loads.rows_of(database) == histories.expected(told)
        merged.merge(last)
        assert loads.rows_of(database) == sorted(left) == histories.expected([*told, last])
        sums = database.execute(
            "SELECT run_id FROM pipeline_run WHERE committed_at IS NOT NULL AND rows_read <> "
            "rows_inserted + rows_updated + rows_unchanged + rows_stale + rows_rejected"
        )
        assert sums == []
        assert ledger.stored_rows(database, "player") == len(left)


def property_of(examples: int) -> Callable:
    return lambda test: settings(
        max_examples=examples,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,  # it only says where databases are
        ],
    )(given(dice=st.randoms(use_true_random=False))(test))


@pytest.mark.only("postgres")
@property_of(4)
def test_no_order_of_merging_makes_a_difference_in_postgres(tmp_path: Path, dice: random.Random) -> None:
    converges(dice, tmp_path)


@pytest.mark.only("sqlite")
@property_of(15)
def test_no_order_of_merging_makes_a_difference(tmp_path: Path, dice: random.Random) -> None:
    converges(dice, tmp_path)


@pytest.mark.soak
@pytest.mark.only("postgres")
@pytest.mark.timeout(1800)
@seed(SEED)
@property_of(150)
def test_no_order_makes_a_difference_in_many_histories_in_postgres(
    tmp_path: Path, dice: random.Random
) -> None:
    converges(dice, tmp_path)


@pytest.mark.soak
@pytest.mark.only("sqlite")
@pytest.mark.timeout(1800)
@seed(SEED)
@property_of(1500)
def test_no_order_makes_a_difference_in_many_histories(tmp_path: Path, dice: random.Random) -> None:
    converges(dice, tmp_path)
