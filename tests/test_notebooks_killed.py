"""Whatever is killed at whichever step of a real notebook, the next run makes it good."""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import killing
import loads
import pyarrow as pa
import pytest
from killing import AFTER, BETWEEN_PAGES, CELLS, CLOSING, PAGE_SIZE, WITHIN, Moment, Runs, Scene, Victim
from pyarrow import parquet

from notebook_pipeline.contract.check_batch import Checked
from notebook_pipeline.storage.database import Database
from sample.players import changed_players, players

PLAYERS = 2_000
LATER = changed_players(PLAYERS, changed=1_200, new=200)
"""Players as they become; most of those that the API knew are among them."""
FRESH = LATER["player_id"][-100].as_py()
KILLED = "the kernel died: killed by SIGKILL, as the system does when memory runs out"

State = dict[str, list[tuple]]


def first_load(folder: Path) -> Scene:
    """Load a file into a database that is not there yet."""
    (folder / "before").mkdir()
    return _load(folder, LATER)


def load_over_rows_of_the_api(folder: Path) -> Scene:
    """Load a file of which one half is older than what is stored, and the other mostly newer."""
    with loads.open_database(folder / "before") as database:
        _merge(database, loads.BULK, players(PLAYERS))
        _merge(database, loads.API, changed_players(PLAYERS, changed=600))
    half = PLAYERS // 2
    return _load(folder, pa.concat_tables([players(PLAYERS)[:half], LATER[half:]]))


def api_update(folder: Path) -> Scene:
    """Update what a file had brought."""
    with loads.open_database(folder / "before") as database:
        _merge(database, loads.BULK, players(PLAYERS))
    return Scene("api_incremental_update", {"page_size": PAGE_SIZE}, folder / "before", FRESH, served=LATER)


SCENES: dict[str, Callable[[Path], Scene]] = {
    "first load": first_load,
    "load over rows of the API": load_over_rows_of_the_api,
    "API update": api_update,
}
KILLS = [
    (scene, moment, victim)
    for scene in SCENES
    for moment in [*AFTER, *WITHIN, CLOSING, *([BETWEEN_PAGES] if scene == "API update" else [])]
    for victim in ([Victim.RUNNER] if moment is CLOSING else Victim)
]


def _some() -> list[tuple[str, Moment, Victim]]:
    """Return one kill of each notebook, for every run costs seconds."""
    dice = random.Random(0)  # noqa: S311
    updates = [kill for kill in KILLS if kill[0] == "API update"]
    return [dice.choice([kill for kill in KILLS if kill not in updates]), dice.choice(updates)]


def _named(kills: list[tuple[str, Moment, Victim]]) -> list[Any]:
    return [pytest.param(*kill, id=f"{kill[0]}, {kill[1].name}, {kill[2].value}") for kill in kills]


def _merge(database: Database, origin: loads.Origin, players: pa.Table) -> None:
    loads.run(database, origin, Checked(killing.stored(players), [], players.num_rows))


def _load(folder: Path, players: pa.Table) -> Scene:
    parquet.write_table(players, folder / "players.parquet", row_group_size=500)
    source = {"source": "players.parquet"}
    return Scene("bulk_load", source, folder / "before", FRESH, files=folder, again={"force": "true"})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Scene, State, State]]:
    """Return what gives a scene, and its tables before and after a run that nobody disturbs."""

    @cache
    def prepare(name: str) -> tuple[Scene, State, State]:
        folder = tmp_path_factory.mktemp("scene")
        scene = SCENES[name](folder)
        before = _state(scene.before)
        shutil.copytree(scene.before, folder / "after")
        with killing.serving(scene) as server:
            Runs(scene, folder / "after", folder, server).run({})
        after = _state(folder / "after")
        assert before["player"] != after["player"]
        assert before["watermark"] != after["watermark"]
        return scene, before, after

    return prepare


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Give a folder with a short name, for sockets live in it."""
    with tempfile.TemporaryDirectory(prefix="nk-", dir="/tmp") as folder:
        yield Path(folder)


Prepared = Callable[[str], tuple[Scene, State, State]]


@pytest.mark.parametrize(("scene", "moment", "victim"), _named(_some()))
def test_a_killed_notebook_is_made_good_by_the_next_run(
    scene: str, moment: Moment, victim: Victim, prepared: Prepared, tmp_path: Path, temporary: Path
) -> None:
    kill_and_run_again(prepared(scene), moment, victim, tmp_path / "output", temporary)


@pytest.mark.soak
@pytest.mark.parametrize(("scene", "moment", "victim"), _named(KILLS))
def test_a_notebook_killed_at_any_step_is_made_good_by_the_next_run(
    scene: str, moment: Moment, victim: Victim, prepared: Prepared, tmp_path: Path, temporary: Path
) -> None:
    kill_and_run_again(prepared(scene), moment, victim, tmp_path / "output", temporary)


def kill_and_run_again(
    prepared: tuple[Scene, State, State], moment: Moment, victim: Victim, output: Path, temporary: Path
) -> None:
    """Kill a run, look at what it left, run again, and hold all that is there then to an undisturbed run."""
    scene, before, after = prepared
    shutil.copytree(scene.before, output)
    with killing.serving(scene) as server:
        runs = Runs(scene, output, temporary, server)
        code = killing.kill(runs, moment, victim)
        ends_well = victim is Victim.KERNEL and moment.cells == CELLS
        assert code == (-9 if victim is not Victim.KERNEL else 0 if ends_well else 1)
        with runs.database() as database:
            assert not loads.is_locked(database)
            assert database.execute("PRAGMA integrity_check") == [("ok",)]
        assert _state(output) == (after if moment.is_committed else before)
        _let_age(temporary)
        runs.run(scene.again)
    assert _state(output) == after
    error = KILLED if victim is Victim.KERNEL else "process lost"
    ended = ("success", None) if ends_well else ("failed", error)
    _assert_told(runs, moment, ended, moment.states(victim))
    _assert_nothing_left(output, temporary)


def _state(output: Path) -> State:
    """Return what must be the same however a run was disturbed."""
    with loads.open_database(output) as database:
        columns = "player_id, gsis_id, first_name, last_name, position, last_changed_date, _source"
        return {
            "player": database.execute(f"SELECT {columns} FROM player ORDER BY player_id"),
            "watermark": database.execute("SELECT dataset, source, value FROM watermark ORDER BY 1, 2"),
        }


def _assert_told(runs: Runs, moment: Moment, ended: tuple[str, str | None], states: list[str]) -> None:
    """Hold ledger and artefacts of the killed run and of the one after it to what happened."""
    with runs.database() as database:
        rows = database.query("SELECT * FROM pipeline_run WHERE dag_id = 'manual' ORDER BY run_id")
        killed, second = rows.to_pylist()[-2:]
    assert (killed["status"], killed["error"]) == ended
    assert (second["status"], second["error"]) == ("success", None)
    assert (killed["committed_at"] is not None) == moment.is_committed
    for row in (killed, second):
        about = runs.artefact(row["artifact"])["metadata"]["notebook_pipeline"]
        assert (about["run_id"], about["status"], about["error"]) == (
            row["run_id"],
            row["status"],
            row["error"],
        )
        parts = ("inserted", "updated", "unchanged", "stale", "rejected")
        if row["committed_at"]:
            assert row["rows_read"] == sum(row[f"rows_{part}"] for part in parts)
    assert killing.states(runs.artefact(killed["artifact"])) == states
    assert set(killing.states(runs.artefact(second["artifact"]))) == {"completed"}


def _let_age(temporary: Path) -> None:
    """Make what a killed runner left old enough for the next one to sweep it."""
    for folder in temporary.glob("nbp-*"):
        os.utime(folder, (0, 0))


def _assert_nothing_left(output: Path, temporary: Path) -> None:
    left = [path for path in output.rglob("*") if path.suffix in (".lock", ".tmp", ".part")]
    assert left == []
    assert list(temporary.glob("nbp-*")) == []
