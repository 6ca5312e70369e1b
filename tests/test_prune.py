"""Pruning removes old executed notebooks, and never what something still names."""

from pathlib import Path

import databases
import pytest
from databases import on_each
from declared import PLAYER

from notebook_pipeline.commands.main import main
from notebook_pipeline.outputs.folder import Folder
from notebook_pipeline.running.prune import prune
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.run_locks import RunLock, is_held
from notebook_pipeline.storage.tables import create_table, create_tables

pytestmark = pytest.mark.only("sqlite")

OLD, NEW = "2020-01-01T00:00:00.000000+00:00", "2999-01-01T00:00:00.000000+00:00"


@pytest.fixture
def database(each_database: str, home: Path, monkeypatch: pytest.MonkeyPatch):
    found = databases.connection(home / "output")
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DATABASE", found.to_json())
    with connect(found) as opened:
        create_tables(opened)
        create_table(opened, PLAYER)
        yield opened


def ran(
    home: Path, database: Database, run_id: str, status: str, finished: str = OLD, notebook: str = "n"
) -> Path:
    artifact = f"runs/manual/{run_id}/{notebook}__try1.ipynb"
    ledger.start_run(
        database,
        run_id=run_id,
        dag_id="manual",
        dag_run_id=run_id,
        task_id=notebook,
        notebook=notebook,
        notebook_sha256="ab",
        parameters={},
        artifact=artifact,
    )
    if status != "running":
        database.execute(
            "UPDATE pipeline_run SET status = ?, finished_at = ? WHERE run_id = ?", [status, finished, run_id]
        )
    path = home / "output" / artifact
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def name_in_a_row(database: Database, run_id: str) -> None:
    database.execute(
        "INSERT INTO player (player_id, first_name, last_name, position, last_changed_date, _run_id, "
        "_source) VALUES (1, 'A', 'B', 'QB', '2024-01-01', ?, 'bulk')",
        [run_id],
    )


@on_each
def test_removes_what_is_old_and_keeps_what_is_named(home: Path, database: Database) -> None:
    named = ran(home, database, "r01", "success")
    name_in_a_row(database, "r01")
    deleted = ran(home, database, "r015", "success")
    database.execute("INSERT INTO deleted_row VALUES ('player', '2', '2024-01-01', 'r015')")
    old_success = ran(home, database, "r02", "success")
    old_failure = ran(home, database, "r03", "failed")
    still_running = ran(home, database, "r04", "running")
    lock = ledger.hold(database, home / "output", ledger.get_run(database, "r04"))
    newest_success = ran(home, database, "r05", "success", "2020-01-02")
    young = ran(home, database, "r06", "failed", NEW)
    last = [ran(home, database, f"r1{number}", "failed") for number in range(2)]
    other = ran(home, database, "r00", "success", notebook="m")
    before = database.execute("SELECT count(*) FROM pipeline_run")
    assert prune(keep_days=30, keep_last=2) == [str(old_success), str(old_failure)]
    assert all(path.exists() for path in (named, deleted, still_running, newest_success, young, *last, other))
    assert not old_success.parent.exists()
    assert database.execute("SELECT count(*) FROM pipeline_run") == before
    assert prune(keep_days=30, keep_last=2) == []
    assert prune(keep_days=30, keep_last=0) == [str(path) for path in last]
    assert prune(keep_days=10**11, keep_last=0) == []
    lock.release()


@on_each
def test_a_broken_declaration_does_not_cost_the_notebooks_of_its_rows(home: Path, database: Database) -> None:
    (home / "datasets" / "player.py").write_text("1 / 0")
    named, other = ran(home, database, "r1", "failed"), ran(home, database, "r2", "failed")
    name_in_a_row(database, "r1")
    assert prune(keep_days=30, keep_last=0) == [str(other)]
    assert named.exists()


def test_what_a_killed_process_left_goes_too_but_not_what_is_at_work(home: Path, database: Database) -> None:
    folder = ran(home, database, "r1", "success").parent
    for name in ("a__try1.ipynb.lock", ".a__try1.ipynb.x1.tmp"):
        (folder / name).touch()
    empty = home / "output/runs/manual/r2/b__try1.ipynb.lock"
    empty.parent.mkdir()
    empty.touch()
    held = RunLock(home / "output/runs/manual/r3/c__try1.ipynb.lock")
    prune(keep_days=0, keep_last=0)
    left = [path.name for path in (home / "output/runs").rglob("*") if path.is_file()]
    assert sorted(left) == ["c__try1.ipynb.lock", "n__try1.ipynb"]
    assert not empty.parent.exists()
    held.release()


def test_a_run_that_begins_while_locks_are_swept_keeps_its_own(
    home: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {home / f"output/runs/manual/r/{name}__try1.ipynb.lock" for name in "ab"}
    for path in free:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    held: dict[Path, RunLock] = {}
    sweep, unlink = Folder.sweep, Path.unlink

    def begin_another(self: Folder, key: str) -> None:
        monkeypatch.setattr(Folder, "sweep", sweep)
        (other,) = free - {home / "output" / f"{key}.lock"}
        held[other] = RunLock(other)
        sweep(self, key)

    def begin_the_same(path: Path, **named: bool) -> None:
        monkeypatch.setattr(Path, "unlink", unlink)
        path.unlink(**named)
        held[path] = RunLock(path)

    monkeypatch.setattr(Folder, "sweep", begin_another)
    monkeypatch.setattr(Path, "unlink", begin_the_same)
    prune(keep_days=0, keep_last=0)
    assert set(held) == free
    assert set((home / "output/runs").rglob("*.lock")) == set(held)
    assert all(map(is_held, held))


def test_what_another_process_removes_at_the_same_time_is_not_missed(
    home: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another prune takes the artefact, a run that ends its lock, between the look and the removal."""
    ran(home, database, "r1", "failed")
    lock = home / "output/runs/manual/r2/b__try1.ipynb.lock"
    lock.parent.mkdir()
    lock.touch()
    remove = Folder.remove

    def be_late(self: Folder, key: str) -> None:
        (home / "output" / key).unlink()
        remove(self, key)

    monkeypatch.setattr(Folder, "remove", be_late)
    assert prune(keep_days=0, keep_last=0) == []


@on_each
def test_what_was_killed_is_settled_before_its_lock_is_swept(home: Path, database: Database) -> None:
    path = ran(home, database, "r1", "running")
    path.unlink()
    Path(f"{path}.lock").touch()
    prune(keep_days=30, keep_last=0)
    assert ledger.get_run(database, "r1")["error"] == ledger.LOST
    assert [left.name for left in path.parent.iterdir()] == [path.name]


def test_a_path_that_leads_out_of_the_runs_is_left_alone(home: Path, database: Database) -> None:
    outside = home / "precious.ipynb"
    outside.touch()
    ran(home, database, "r1", "failed")
    ran(home, database, "r2", "failed")
    database.execute("UPDATE pipeline_run SET artifact = '../precious.ipynb' WHERE run_id = 'r1'")
    database.execute("UPDATE pipeline_run SET artifact = 'analytics_database.db' WHERE run_id = 'r2'")
    assert prune(keep_days=0, keep_last=0) == []
    assert outside.exists()
    assert (home / "output/analytics_database.db").exists()


@on_each
def test_the_command_prints_what_it_removed(
    home: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    removed = ran(home, database, "r1", "failed")
    assert main(["prune", "--keep-days", "7", "--keep-last", "0"]) == 0
    assert capsys.readouterr() == (f"{removed}\n", "removed 1 executed notebook\n")
    assert main(["prune"]) == 0
    assert capsys.readouterr() == ("", "removed 0 executed notebooks\n")


@pytest.mark.parametrize("wrong", ["-1", "x", "1.5"])
def test_wrong_limits_are_refused(home: Path, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", f"--keep-days={wrong}"]) == 2
    assert "--keep-days" in capsys.readouterr().err
