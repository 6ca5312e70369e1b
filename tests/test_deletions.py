"""What a sweep deletes stays away, whatever comes later that is not newer."""

from pathlib import Path

import loads
import pytest
from declared import PLAYER
from loads import API, BULK

from notebook_pipeline.errors import DataRefused
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.storage import ledger

pytestmark = pytest.mark.usefixtures("each_database")

BEFORE, DAY, AFTER = "2024-01-01", "2024-01-05", "2024-01-09"


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", DAY)


def test_what_the_source_no_longer_has_is_deleted(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        first = loads.run(
            database, BULK, loads.checked([(1, "a", BEFORE), (2, "b", BEFORE), (3, "c", BEFORE)])
        )
        sweep = loads.run(database, API, loads.checked([(2, "b", BEFORE)]), present=[2])
        assert loads.players(database) == [(2, "b", BEFORE, first, "api")]
        assert database.execute("SELECT * FROM deleted_row ORDER BY key") == [
            ("player", "1", BEFORE, sweep),
            ("player", "3", BEFORE, sweep),
        ]
        assert loads.counts(database, sweep) == {
            "read": 1, "inserted": 0, "updated": 0, "unchanged": 1, "stale": 0, "rejected": 0, "deleted": 2
        }  # fmt: skip
        assert ledger.stored_rows(database, "player") == 1


def test_a_tombstone_wins_over_bulk_rows_that_are_not_newer(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        loads.run(database, BULK, loads.checked([(1, "a", BEFORE), (2, "b", BEFORE)]))
        loads.run(database, API, loads.checked([(2, "b", BEFORE)]), present=[2])
        late = loads.run(database, BULK, loads.checked([(1, "a", BEFORE)]), loads.checked([(1, "b", DAY)]))
        assert loads.counts(database, late)["stale"] == 2
        assert loads.rows_of(database) == [(2, "b", BEFORE)]
        loads.run(database, BULK, loads.checked([(1, "c", AFTER)]))
        assert loads.rows_of(database) == [(1, "c", AFTER), (2, "b", BEFORE)]


def test_a_late_file_brings_no_row_that_a_sweep_did_not_see(tmp_path: Path) -> None:
    """Whether a file is loaded before the sweep or after it makes no difference."""
    file = loads.checked([(1, "a", BEFORE), (2, "b", BEFORE), (3, "c", DAY), (4, "d", AFTER)])
    seen = loads.checked([(2, "b", BEFORE)])
    tables = []
    for folder, steps in (("one", [(BULK, file), (API, seen)]), ("two", [(API, seen), (BULK, file)])):
        with loads.open_database(tmp_path / folder) as database:
            for origin, batch in steps:
                loads.run(database, origin, batch, present=[2] if origin == API else None)
            tables.append(loads.rows_of(database))
    assert tables == [[(2, "b", BEFORE), (4, "d", AFTER)]] * 2


def test_a_later_update_brings_back_what_the_source_has_again(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        loads.run(database, API, loads.checked([(1, "a", BEFORE), (2, "b", BEFORE)]))
        loads.run(database, API, loads.checked([(2, "b", BEFORE)]), present=[2])
        back = loads.run(database, API, loads.checked([(1, "a", BEFORE), (3, "new", BEFORE)]))
        assert loads.players(database)[0] == (1, "a", BEFORE, back, "api")
        assert loads.rows_of(database) == [(1, "a", BEFORE), (2, "b", BEFORE), (3, "new", BEFORE)]
        again = loads.run(database, API, loads.checked([(2, "b", BEFORE)]), present=[2])
        assert loads.rows_of(database) == [(2, "b", BEFORE)]
        assert database.execute("SELECT key, run_id FROM deleted_row") == [("1", again), ("3", again)]


@pytest.mark.parametrize("had_it", [True, False])
def test_an_update_from_before_the_sweep_brings_nothing_back(tmp_path: Path, had_it: bool) -> None:
    """Its rejected rows are replayed after the sweep, with a day that is newer than the sweep's."""
    with loads.open_database(tmp_path) as database:
        if had_it:
            loads.run(database, API, loads.checked([(1, "a", BEFORE)]))
        before = loads.run(
            database, API, loads.checked([(2, "b", BEFORE)], [loads.rejected((1, "b", AFTER), "api")])
        )
        loads.run(database, API, loads.checked([(2, "b", BEFORE)]), present=[2])
        replay = loads.run(
            database, loads.replay(database, PLAYER, before).origin, loads.checked([(1, "b", AFTER)])
        )
        assert loads.rows_of(database) == [(2, "b", BEFORE)]
        assert loads.counts(database, replay)["stale"] == 1


def test_a_sweep_spares_what_it_saw_and_could_not_store(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        bad = loads.rejected((1, "bad", DAY), "api")
        loads.run(database, API, loads.checked([(2, "b", BEFORE)], [bad]), present=[1, 2])
        loads.run(database, BULK, loads.checked([(1, "a", BEFORE)]))
        assert loads.rows_of(database) == [(1, "a", BEFORE), (2, "b", BEFORE)]


def test_what_an_earlier_sweep_found_missing_stays_so_when_a_later_one_cannot_store_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loads.open_database(tmp_path) as database:
        loads.run(database, API, loads.checked([(2, "b", BEFORE)]), present=[2])
        for day in (AFTER, "2024-01-10"):
            monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", day)
            bad = loads.rejected((1, "bad", AFTER), "api")
            loads.run(database, API, loads.checked([(2, "b", BEFORE)], [bad]), present=[1, 2])
        loads.run(database, BULK, loads.checked([(1, "a", DAY)]))
        assert loads.rows_of(database) == [(2, "b", BEFORE)]
        loads.run(database, BULK, loads.checked([(1, "c", AFTER)]))
        assert loads.rows_of(database) == [(1, "c", AFTER), (2, "b", BEFORE)]


def test_a_bulk_row_newer_than_the_sweep_is_not_missing(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        loads.run(database, BULK, loads.checked([(1, "a", AFTER), (2, "b", DAY)]))
        sweep = loads.run(database, API, present=[])
        assert loads.rows_of(database) == [(1, "a", AFTER)]
        assert loads.counts(database, sweep)["deleted"] == 1


def test_missing_rows_are_only_counted_unless_they_are_to_be_deleted(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        loads.run(database, BULK, loads.checked([(1, "a", BEFORE), (2, "b", BEFORE)]))
        session, _ = loads.start(database)
        with transaction(session, API, loads.ANY_NUMBER) as merge:
            merge.compare_keys(loads.keys(2), delete=False, max_deleted_percent=0.0)
        assert (merge.rows_missing, merge.rows_deleted) == (1, 0)
        assert loads.rows_of(database) == [(1, "a", BEFORE), (2, "b", BEFORE)]
        loads.run(database, BULK, loads.checked([(3, "c", BEFORE)]))
        assert loads.rows_of(database) == [(1, "a", BEFORE), (2, "b", BEFORE), (3, "c", BEFORE)]


@pytest.mark.parametrize(("limit", "refused"), [(49.9, True), (50.0, False)])
def test_more_missing_rows_than_allowed_are_refused(tmp_path: Path, limit: float, refused: bool) -> None:
    rows = [(key, "a", BEFORE) for key in range(4)]
    with loads.open_database(tmp_path) as database:
        loads.run(database, BULK, loads.checked(rows))
        session, _ = loads.start(database)
        expected = pytest.raises(
            DataRefused, match=r"2 of 4 rows, more than max_deleted_percent = 49\.9 allows"
        )
        with (
            expected if refused else loads.nothing(),
            transaction(session, API, loads.ANY_NUMBER) as merge,
        ):
            merge.merge([loads.checked([(0, "changed", DAY)])])
            merge.compare_keys(loads.keys(0, 1), delete=True, max_deleted_percent=limit)
        found = loads.rows_of(database)
        assert found == (rows if refused else [(0, "changed", DAY), (1, "a", BEFORE)])
        assert database.execute("SELECT count(*) FROM deleted_row") == [(0 if refused else 2,)]
        assert database.execute("SELECT count(*) FROM sweep") == [(0 if refused else 1,)]
