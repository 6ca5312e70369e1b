"""An update that goes on, is repeated, or lasts past midnight reads all that it must read, and no more."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import failing_server as fs
import pytest

from notebook_pipeline.connections import API, DATABASE, resolve, variable
from notebook_pipeline.errors import DataRefused, PipelineError, UsageError
from notebook_pipeline.running.mime_types import RUN_ID
from notebook_pipeline.steps import extract, session
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.tables import create_tables

SIZE = 10
NO_LIMITS = Limits(max_rejected_percent=100.0)


@dataclass
class World:
    """Hold a source of 45 rows, all of one day, and the calendar."""

    source: fs.Source
    turn_to: Callable[[str], None]

    def change(self, index: int, day: str) -> None:
        """Change a row of the source on a day, where it stands."""
        self.source.rows[index] = self.source.rows[index] | {"last_changed_date": day, "first_name": day}

    def asked(self) -> list[int]:
        """Return the `skip` of each page that was asked for since the last time."""
        skips = [request.skip for request in self.source.pages_asked]
        self.source.requests.clear()
        return skips


@pytest.fixture
def world(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.delenv("AIRFLOW_CONN_ANALYTICS_DATABASE", raising=False)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path / "output"))
    rows = [row | {"last_changed_date": "2024-09-10"} for row in fs.make_rows(45)]
    with fs.serving(fs.Source(rows)) as source:
        monkeypatch.setenv(variable(API), source.url)
        world = World(source, lambda day: monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", day))
        world.turn_to("2024-09-20")
        yield world


def begun() -> Session:
    return session.join_run("api_incremental_update", {})


def opened(run: Session, **options) -> extract.Extract:
    return extract.open_api(run, API, page_size=SIZE, **options)


def merge(run: Session, update: extract.Extract, limits: Limits = NO_LIMITS) -> dict[str, object]:
    with transaction(run, update.origin, limits) as merged:
        merged.merge(update.batches)
        if update.shows_missing:
            merged.compare_keys(update.keys, delete=True, max_deleted_percent=100)
        merged.compare_count(update.source_count)
    return merged.result()


def update(run: Session | None = None, **options) -> dict[str, object]:
    run = run or begun()
    result = merge(run, opened(run, **options))
    run.finish(result)
    return result


def stored() -> dict[object, object]:
    run = begun()
    rows = run.database.execute("SELECT player_id, first_name FROM player")
    run.finish({})
    return dict(rows)


def served(world: World) -> dict[object, object]:
    return {row["player_id"]: row["first_name"] for row in world.source.rows}


def stop_at(world: World, request: int, run: Session, **options) -> None:
    """Let a run fail at one of its requests for a page."""
    world.source.failures[request] = fs.status(400)
    with pytest.raises(PipelineError, match=r"400 .*page_size"):
        opened(run, **options)
    world.asked()


def test_a_row_that_changes_between_two_tries_is_read_by_the_next_update(world: World) -> None:
    run = begun()
    stop_at(world, 3, run)
    world.change(0, "2024-09-21")
    world.change(44, "2024-09-22")
    world.turn_to("2024-09-22")
    assert update(run)["watermark"] == "2024-09-20", "page 0 was read on that day"
    assert world.asked() == [30, 40, 45]
    assert stored() != served(world)
    world.turn_to("2024-09-23")
    assert update()["watermark"] == "2024-09-22"
    assert stored() == served(world)


def test_a_row_that_changes_while_an_update_lasts_past_midnight_is_read_by_the_next(world: World) -> None:
    def midnight() -> None:
        world.turn_to("2024-09-21")
        world.change(44, "2024-09-21")

    world.source.before = {2: lambda: world.change(0, "2024-09-20"), 4: midnight}
    assert update()["watermark"] == "2024-09-20"
    assert update()["watermark"] == "2024-09-21"
    assert stored() == served(world)


def test_an_update_that_goes_on_says_what_was_landed_and_when(world: World) -> None:
    run = begun()
    stop_at(world, 3, run)
    world.turn_to("2024-09-22")
    landed = "of these pages were downloaded by an earlier try, which began on 2024-09-20"
    assert opened(run).notes == ["45 rows in 5 pages", f"3 {landed}"]
    assert opened(run).notes == ["45 rows in 5 pages", f"5 {landed}"]
    assert world.asked() == [30, 40, 45]
    run.fail("only looked")


def tried(number: int, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Begin a try of one task, as a runner does."""
    with connect(resolve(DATABASE)) as database:
        create_tables(database)
        ledger.start_run(
            database,
            run_id=f"try-{number}",
            dag_id="d",
            dag_run_id="r",
            task_id="t",
            try_number=number,
            notebook="api_incremental_update",
            notebook_sha256="0" * 64,
            parameters={"dataset": "player", "api_conn_id": API},
            artifact=None,
        )
    monkeypatch.setenv(RUN_ID, f"try-{number}")
    return begun()


def test_pages_that_were_refused_are_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    good, world.source.rows[7] = world.source.rows[7], world.source.rows[7] | {"position": "no such"}
    for number in (1, 2, 3):
        run = tried(number, monkeypatch)
        with pytest.raises(DataRefused):
            merge(run, opened(run), Limits(max_rejected_percent=0))
        ledger.finish_run(run.database, run.run_id, "failed", "refused")
        assert world.asked() == [0, 10, 20, 30, 40, 45], f"try {number}"
    world.source.rows[7] = good
    run = tried(4, monkeypatch)
    merge(run, opened(run))
    assert run.database.execute("SELECT player_id, first_name FROM player") == [*served(world).items()]


def test_a_merge_that_failed_for_another_reason_needs_no_server(world: World) -> None:
    run = begun()
    update_, asked = opened(run), world.asked()
    with pytest.raises(RuntimeError), transaction(run, update_.origin, NO_LIMITS):
        raise RuntimeError
    update(run)
    assert (len(asked), world.asked()) == (6, [])
    assert stored() == served(world)


def test_a_sweep_deletes_nothing_because_of_what_the_source_had_on_another_day(world: World) -> None:
    update()
    gone = world.source.rows.pop(7)
    run = begun()
    opened(run, full_sweep=True)
    assert opened(run, full_sweep=True).rows == 44
    world.asked()
    world.source.rows.insert(7, gone)
    world.turn_to("2024-09-21")
    assert update(run, full_sweep=True)["rows_deleted"] == 0
    assert world.asked()[0] == 0
    assert stored() == served(world)


def test_what_was_landed_for_one_login_serves_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun()
    for login, tenant, first in (
        ("ann:old", "a", [0]),
        ("ann:new", "a", []),
        ("bob:new", "a", [0]),
        ("bob:new", "b", [0]),
    ):
        address = world.source.url.replace("//", f"//{login}@")
        connection = {"conn_type": "http", "host": address, "extra": {"X-Tenant": tenant, "X-API-Key": login}}
        monkeypatch.setenv(variable(API), json.dumps(connection))
        opened(run)
        assert world.asked()[:1] == first, (login, tenant)
    run.fail("only looked")


@pytest.mark.parametrize("days", [0, -1])
def test_pages_that_a_retry_needs_cannot_be_removed_at_once(world: World, days: int) -> None:
    run = begun()
    with pytest.raises(UsageError, match=f"`keep_landed_days` must be 1 or more, got {days}"):
        opened(run, keep_landed_days=days)
    run.fail("refused")


def test_the_result_says_how_far_the_table_is_from_the_source(world: World) -> None:
    update()
    del world.source.rows[7]
    result = update()
    assert (result["rows_in_table"], result["rows_in_source"]) == (45, 44)
