"""Which extraction is the later one: places, and the runs that overlap."""

from pathlib import Path

import loads
import pytest
from declared import PLAYER
from loads import API, BULK

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.running.run_identity import place_of_reading
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import extraction_order, ledger

pytestmark = pytest.mark.usefixtures("each_database")

DAY = "2024-01-05"


def replay_of(run_id: str, source: str = "api") -> Origin:
    return Origin(loads.KINDS[source], place=run_id, is_replay=True, moves_watermark=False)


def test_the_later_extraction_wins_also_when_it_is_merged_first(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        first = loads.run(
            database, API, loads.checked([(2, "x", DAY)], [loads.rejected((1, "old", DAY), "api")])
        )
        second = loads.run(database, API, loads.checked([(1, "new", DAY)]))
        replay = loads.run(database, replay_of(first), loads.checked([(1, "old", DAY)]))
        assert loads.counts(database, replay)["stale"] == 1
        assert loads.players(database)[0] == (1, "new", DAY, second, "api")


def test_a_row_that_was_confirmed_has_the_place_of_the_confirmation(tmp_path: Path) -> None:
    """It keeps its run, which is older than the rejected row; the source went back to it afterwards."""
    with loads.open_database(tmp_path) as database:
        first = loads.run(database, API, loads.checked([(1, "a", DAY), (2, "x", DAY)]))
        between = loads.run(
            database, API, loads.checked([(2, "x", DAY)], [loads.rejected((1, "b", DAY), "api")])
        )
        last = loads.run(database, API, loads.checked([(1, "a", DAY), (2, "x", DAY)]))
        assert database.execute("SELECT * FROM row_place") == [("player", "1", last)]
        replay = loads.run(database, replay_of(between), loads.checked([(1, "b", DAY)]))
        assert loads.counts(database, replay)["stale"] == 1
        assert loads.players(database)[0] == (1, "a", DAY, first, "api")


def test_a_row_that_was_adopted_has_the_place_of_the_adoption(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        bulk = loads.run(database, BULK, loads.checked([(1, "a", DAY), (2, "x", DAY)]))
        between = loads.run(
            database, API, loads.checked([(2, "x", DAY)], [loads.rejected((1, "b", DAY), "api")])
        )
        last = loads.run(database, API, loads.checked([(1, "a", DAY)]))
        assert database.execute("SELECT * FROM row_place") == [("player", "1", last)]
        loads.run(database, replay_of(between), loads.checked([(1, "b", DAY)]))
        assert loads.players(database)[0] == (1, "a", DAY, bulk, "api")


def test_what_is_written_again_is_noted_no_more(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        loads.run(database, API, loads.checked([(1, "a", DAY)]))
        loads.run(database, API, loads.checked([(1, "a", DAY)], [loads.rejected((1, "b", DAY), "api")]))
        assert len(database.execute("SELECT * FROM row_place")) == 0  # rejected in the same run
        loads.run(database, API, loads.checked([(1, "a", DAY)]))
        assert len(database.execute("SELECT * FROM row_place")) == 1
        loads.run(database, API, loads.checked([(1, "c", DAY)]))
        assert len(database.execute("SELECT * FROM row_place")) == 0


def test_a_replay_of_a_replay_keeps_the_first_place(tmp_path: Path) -> None:
    bad = loads.rejected((1, "b", DAY))
    with loads.open_database(tmp_path) as database:
        first = loads.run(database, BULK, loads.checked([(2, "x", DAY)], [bad]))
        again = loads.run(database, loads.replay(database, PLAYER, first).origin, loads.checked([], [bad]))
        later = loads.run(database, BULK, loads.checked([(1, "later", DAY)]))
        assert loads.replay(database, PLAYER, again).origin == replay_of(first, "bulk")
        loads.run(database, loads.replay(database, PLAYER, again).origin, loads.checked([(1, "b", DAY)]))
        assert loads.players(database)[0] == (1, "later", DAY, later, "bulk")


def test_a_replay_moves_no_watermark(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        first = loads.run(
            database, API, loads.checked([(2, "x", DAY)], [loads.rejected((1, "b", DAY), "api")])
        )
        replay = loads.run(database, replay_of(first), loads.checked([(1, "b", "2024-01-09")]))
        row = ledger.get_run(database, replay)
        assert (row["watermark_before"], row["watermark_after"]) == (DAY, DAY)
        [mark] = database.execute("SELECT value, run_id FROM watermark")
        assert mark == (DAY, first)


def test_of_two_updates_the_one_that_began_later_wins_whichever_commits_first(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        slow, _ = loads.start(database)
        fast = loads.run(database, API, loads.checked([(1, "newer", DAY), (2, "same", DAY)]))
        late = loads.run(
            database, API, loads.checked([(1, "older", DAY), (3, "c", "2024-01-06")]), session=slow
        )
        assert loads.rows_of(database) == [(1, "newer", DAY), (2, "same", DAY), (3, "c", "2024-01-06")]
        assert loads.players(database)[0][3] == fast
        assert loads.counts(database, late)["stale"] == 1


def test_a_row_that_an_update_confirmed_is_safe_from_one_that_began_earlier(tmp_path: Path) -> None:
    """The row keeps the run that wrote it, so the place of the confirmation is recorded."""
    with loads.open_database(tmp_path) as database:
        first = loads.run(database, API, loads.checked([(1, "a", DAY)]))
        slow, _ = loads.start(database)
        fast = loads.run(database, API, loads.checked([(1, "a", DAY)]))
        assert database.execute("SELECT * FROM row_place") == [("player", "1", fast)]
        late = loads.run(database, API, loads.checked([(1, "b", DAY)]), session=slow)
        assert loads.players(database) == [(1, "a", DAY, first, "api")]
        assert loads.counts(database, late)["stale"] == 1


def test_a_reading_has_the_place_of_its_beginning_not_of_its_run(tmp_path: Path) -> None:
    """A notebook may be open for hours before its cell reads the API."""
    with loads.open_database(tmp_path) as database:
        open_for_hours, _ = loads.start(database)
        loads.run(database, API, loads.checked([(1, "a", DAY)]))
        began = Origin(loads.KINDS["api"], place=place_of_reading(open_for_hours.run_id))
        loads.run(database, began, loads.checked([(1, "b", DAY)]), session=open_for_hours)
        assert loads.rows_of(database) == [(1, "b", DAY)]


def test_bulk_loads_replays_and_failures_overtake_no_update(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        first = loads.run(
            database, API, loads.checked([(1, "a", DAY)], [loads.rejected((2, "b", DAY), "api")])
        )
        update, _ = loads.start(database)
        loads.run(database, BULK, loads.checked([(3, "c", DAY)]))
        loads.run(database, replay_of(first), loads.checked([(2, "b", DAY)]))
        with pytest.raises(RuntimeError):
            _fail_in_the_middle(loads.start(database)[0])
        loads.run(database, API, loads.checked([(1, "d", DAY)]), session=update)
        assert loads.rows_of(database) == [(1, "d", DAY), (2, "b", DAY), (3, "c", DAY)]


def _fail_in_the_middle(session: Session) -> None:
    with transaction(session, API, loads.ANY_NUMBER) as merge:
        merge.merge([loads.checked([(9, "z", DAY)])])
        raise RuntimeError("the notebook failed")


def test_a_bulk_load_that_waited_comes_after_those_it_waited_for(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        waiting, _ = loads.start(database)
        other = loads.run(database, BULK, loads.checked([(1, "a", DAY)], [loads.rejected((1, "bad", DAY))]))
        late = loads.run(database, BULK, loads.checked([(1, "b", DAY)]), session=waiting)
        assert loads.players(database) == [(1, "b", DAY, late, "bulk")]
        assert database.execute("SELECT run_id, place FROM extraction ORDER BY place") == [
            (other, other),
            (late, f"{other}~"),
        ]
        loads.run(database, replay_of(other, "bulk"), loads.checked([(1, "bad", DAY)]))
        assert loads.rows_of(database) == [(1, "b", DAY)]
        last = loads.run(database, BULK, loads.checked([(1, "c", DAY)]))
        assert loads.players(database) == [(1, "c", DAY, last, "bulk")]


def test_a_load_writes_one_note_for_a_row_that_is_awaited_and_none_for_others(tmp_path: Path) -> None:
    rows = [(key, "a", DAY) for key in range(1000)]
    with loads.open_database(tmp_path) as database:
        loads.run(database, BULK, loads.checked(rows, [loads.rejected((500, "bad", DAY))]))
        again = loads.run(database, BULK, loads.checked(rows))
        assert database.execute("SELECT * FROM row_place") == [("player", "500", again)]
        assert loads.counts(database, again)["unchanged"] == 1000


def test_the_keys_of_rejected_rows_are_found(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        assert extraction_order.rejected_keys(database, PLAYER) == []
        bad = [loads.rejected((key, "a", DAY)) for key in (3, 5, 5, 20)]
        loads.run(database, BULK, loads.checked([], bad))
        assert sorted(extraction_order.rejected_keys(database, PLAYER)) == ["20", "3", "5"]


def test_a_replay_does_not_beat_a_row_confirmed_since_if_keys_of_rejected_rows_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction_order, "are_rejected_keys_readable", lambda dataset: False)
    rows = [(key, "a", DAY) for key in range(5)]
    with loads.open_database(tmp_path) as database:
        loads.run(database, BULK, loads.checked(rows, [loads.rejected((9, "bad", DAY))]))
        again = loads.run(database, BULK, loads.checked(rows))
        noted = database.execute("SELECT key, place FROM row_place ORDER BY key")
        assert noted == [(str(key), again) for key in range(5)]
