"""The order of runs: ids grow, whatever the clock says, and a table of another program is left alone."""

import re
from pathlib import Path
from typing import Any

import pytest
import tiny
from executed import execute

from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.run_identity import new_run_id, seconds_ahead
from notebook_pipeline.running.run_order import warn_of_clock
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.tables import create_tables

AHEAD = "981231-235959999999ff"
AFTER = "990101-000000000000"


@pytest.mark.parametrize(
    ("newest", "begins_with"),
    [
        (AHEAD, AFTER),
        ("981231-235959000009ff", "981231-235959000010"),
        ("980199-999999000009ff", "980199-999999000010"),  # no clock shows this
    ],
)
def test_an_id_follows_the_newest_even_if_the_clock_is_behind_it(newest: str, begins_with: str) -> None:
    assert re.fullmatch(rf"{begins_with}[0-9a-f]{{2}}", new_run_id(newest))


def test_an_id_is_that_of_the_clock_if_the_newest_is_older() -> None:
    before, made, after = new_run_id(), new_run_id("260101-000000000000ff"), new_run_id()
    assert before[:-2] < made[:-2] < after[:-2]


def test_runs_after_one_with_a_clock_ahead_come_after_it_and_warn(home: Path) -> None:
    with connect(resolve(DATABASE)) as database:
        create_tables(database)
        start(database, AHEAD)
    runs = [execute(home, "1") for _ in range(2)]
    ids = [run.finished.run_id for run in runs]
    assert ids[0].startswith(AFTER)
    assert AHEAD < ids[0] < ids[1]
    assert [run.row["dag_run_id"] for run in runs] == ids
    assert [run.finished.status for run in runs] == ["success", "success"]
    for run, newest in zip(runs, [AHEAD, ids[0]], strict=True):
        warnings = [line for line in run.lines if "the newest run in the ledger" in line]
        assert [newest in line for line in warnings] == [True]


def start(database: Any, run_id: str) -> None:
    """Record a run that has ended."""
    ledger.start_run(
        database, run_id=run_id, dag_id="d", dag_run_id="x", task_id="t", notebook="n",
        notebook_sha256="", parameters={}, artifact=None,
    )  # fmt: skip
    ledger.finish_run(database, run_id, "success")


def test_a_clock_that_is_right_is_not_mentioned() -> None:
    said: list[str] = []
    for newest in ("", "r", new_run_id()):
        warn_of_clock(newest, said.append)
        assert seconds_ahead(newest) == 0
    assert said == []


def test_a_table_of_another_program_is_refused_before_anything_is_written(home: Path) -> None:
    with connect(resolve(DATABASE)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("CREATE TABLE player (player_id INTEGER PRIMARY KEY)")
    file = home / "output" / "analytics_database.db"
    before = file.read_bytes()
    with pytest.raises(UsageError, match="run `notebook-pipeline adopt player`"):
        execute(home, tiny.parameters('dataset: str = "player"'), "1")
    assert file.read_bytes() == before
    assert list((home / "output").iterdir()) == [file]


def test_a_notebook_of_ones_own_may_read_any_table(home: Path) -> None:
    with connect(resolve(DATABASE)) as database:
        database.execute("CREATE TABLE sales (id INTEGER PRIMARY KEY)")
    run = execute(home, tiny.parameters('dataset: str = "sales"'), "1")
    assert run.finished.status == "success"
