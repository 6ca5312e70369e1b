"""Executed notebooks lie where they belong, one file a try, whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.outputs.folder import Folder
from notebook_pipeline.running.artefacts import new_key, refresh_latest, settle_lost
from notebook_pipeline.running.run_identity import Identity
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.run_locks import RunLock
from notebook_pipeline.storage.tables import create_tables

AIRFLOWS = "manual__2026-11-22T11:45:00.123456+00:00"
OURS = "261122-114500123456ab"


@pytest.fixture
def database(home: Path):
    with connect(resolve(DATABASE)) as opened:
        create_tables(opened)
        yield opened


@pytest.fixture
def output(home: Path) -> Folder:
    return Folder(home / "output")


def folder_of(output: Folder, run_id: str) -> str:
    runs, dag, folder, _ = new_key(output, Identity("dag", run_id, "task")).split("/")
    assert (runs, dag) == ("runs", "dag")
    return folder


def test_a_try_has_its_own_file_by_dag_run_task_and_map_index(output: Folder) -> None:
    assert new_key(output, Identity("d", OURS, "group.load")) == f"runs/d/{OURS}/group.load__try1.ipynb"
    assert new_key(output, Identity("d", "run", "load", 0, 3)) == "runs/d/run/load__m0__try3.ipynb"


def test_a_file_that_is_there_is_never_given_again(output: Folder) -> None:
    keys = []
    for _ in range(3):
        keys.append(new_key(output, Identity("d", "r", "t")))
        output.prepare(keys[-1])
        output.write(keys[-1], "{}")
    assert keys == [f"runs/d/r/t__try1{again}.ipynb" for again in ("", "__2", "__3")]


def test_a_key_whose_lock_is_there_is_not_given_either(home: Path, output: Folder) -> None:
    lock = RunLock(home / "output/runs/d/r/t__try1.ipynb.lock")
    assert new_key(output, Identity("d", "r", "t")) == "runs/d/r/t__try1__2.ipynb"
    lock.release()
    assert new_key(output, Identity("d", "r", "t")) == "runs/d/r/t__try1.ipynb"


RUN_IDS = [
    AIRFLOWS,
    AIRFLOWS.replace("+", "-"),
    AIRFLOWS.replace(":", "-").replace("+", "-"),
    AIRFLOWS.lower(),
    OURS,
    "a:b",
    "a+b",
    "a-b",
    "a b",
    "A-b",
    "a/b",
    "../a-b",
    "../../etc/passwd",
    "/etc/passwd",
    ".",
    "..",
    "",
    "~",
    "a\0b",
    "a\nb",
    "ä",
    "a\u0308",
    "💥" * 100,
    "x" * 250,
    "x" * 249 + "y",
    "\udcff",
]


def test_no_two_run_ids_share_a_folder_not_even_where_capitals_are_not_told_apart(output: Folder) -> None:
    names = [folder_of(output, run_id) for run_id in RUN_IDS]
    names += [folder_of(output, name) for name in names if name not in RUN_IDS]
    assert len({name.casefold() for name in names}) == len(names)
    assert all(len(name.encode()) <= 128 and not name.startswith(".") for name in names)


def test_a_readable_part_of_a_run_id_stays(output: Folder) -> None:
    assert folder_of(output, OURS) == OURS
    assert folder_of(output, "nightly-1.2_b") == "nightly-1.2_b"
    assert folder_of(output, AIRFLOWS).startswith("manual__2026-11-22T11-45-00-123456-00-00~")


@pytest.mark.parametrize("name", ["..", "../x", "/x", "a/b", ""])
def test_no_id_leads_out_of_the_output_folder(output: Folder, name: str) -> None:
    key = new_key(output, Identity(name, name, name))
    assert output.contains(key)
    assert key.startswith("runs/")
    assert key.endswith("__try1.ipynb")
    assert len(Path(key).parts) == 4


def start(database: Database, run_id: str, notebook: str = "n", **changes: Any) -> str:
    artifact = f"runs/manual/{run_id}/{notebook}__try1.ipynb"
    row: dict[str, Any] = {
        "dag_id": "manual",
        "dag_run_id": run_id,
        "task_id": notebook,
        "notebook": notebook,
    }
    row |= {"run_id": run_id, "notebook_sha256": "ab", "parameters": {}, "artifact": artifact}
    ledger.start_run(database, **(row | changes))
    return (row | changes)["artifact"]


def executed(home: Path, artifact: str, *statuses: str) -> Path:
    path = home / "output" / artifact
    path.parent.mkdir(parents=True)
    cells = [
        {
            "cell_type": "code",
            "id": str(index),
            "source": "x",
            "outputs": [],
            "metadata": {"papermill": {"status": status}},
        }
        for index, status in enumerate(statuses)
    ]
    metadata = {
        "papermill": {"start_time": "2026-11-22T11:45:00+00:00"},
        "notebook_pipeline": {"status": "running"},
    }
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_a_lost_run_is_settled_in_artefact_and_ledger(home: Path, database: Database) -> None:
    path = executed(home, start(database, "r1"), "completed", "running", "pending")
    (path.parent / f".{path.name}.abc.tmp").touch()
    assert [run["run_id"] for run in settle_lost(database, Folder(home / "output"))] == ["r1"]
    settled = json.loads(path.read_bytes())
    assert [cell["metadata"].get("papermill", {}).get("status") for cell in settled["cells"]] == [
        None,
        "completed",
        "failed",
        "not run",
    ]
    assert "process lost" in "".join(settled["cells"][0]["source"])
    assert settled["metadata"]["notebook_pipeline"] == {
        "status": "failed",
        "error": "process lost",
        "failed_cell": "1",
    }
    assert os.listdir(path.parent) == [path.name]
    row = ledger.get_run(database, "r1")
    assert (row["status"], row["error"], row["finished_at"] is None) == ("failed", "process lost", False)
    before = path.read_bytes()
    assert settle_lost(database, Folder(home / "output")) == []
    assert path.read_bytes() == before


def test_a_run_that_is_at_work_is_left_alone(home: Path, database: Database) -> None:
    path = executed(home, start(database, "r1"), "running")
    before = path.read_bytes()
    lock = RunLock(Path(f"{path}.lock"))
    assert settle_lost(database, Folder(home / "output")) == []
    assert path.read_bytes() == before
    lock.release()
    assert len(settle_lost(database, Folder(home / "output"))) == 1


def test_a_run_that_was_lost_before_its_first_save_gets_an_artefact(home: Path, database: Database) -> None:
    path = home / "output" / start(database, "r1")
    path.parent.mkdir(parents=True)
    Path(f"{path}.lock").touch()
    settle_lost(database, Folder(home / "output"))
    settled = json.loads(path.read_bytes())
    assert len(settled["cells"]) == 1
    assert settled["metadata"]["notebook_pipeline"] == {
        "run_id": "r1",
        "dag_id": "manual",
        "dag_run_id": "r1",
        "task_id": "n",
        "map_index": -1,
        "try_number": 1,
        "notebook": "n",
        "notebook_sha256": "ab",
        "status": "failed",
        "error": "process lost",
        "failed_cell": None,
    }


def test_an_artefact_that_cannot_be_read_does_not_keep_its_run_open(home: Path, database: Database) -> None:
    for run_id, content in (("r1", "cut off"), ("r2", "[]"), ("r3", '{"cells": [1]}')):
        path = executed(home, start(database, run_id), "running")
        path.write_text(content)
        assert len(settle_lost(database, Folder(home / "output"))) == 1
        assert path.read_text() == content


def test_a_lost_run_by_hand_has_no_artefact_to_settle(home: Path, database: Database) -> None:
    start(database, "r1", artifact=None)
    (home / "output/runs/manual").mkdir(parents=True)
    (home / "output/runs/manual/r1.lock").touch()
    assert len(settle_lost(database, Folder(home / "output"))) == 1
    assert not (home / "output/runs").exists() or not list((home / "output/runs").rglob("*.ipynb"))


def succeed(home: Path, database: Database, run_id: str) -> Path:
    path = executed(home, start(database, run_id), "completed")
    path.write_text(run_id)
    ledger.finish_run(database, run_id, "success")
    return path


def test_latest_is_the_newest_success(home: Path, database: Database) -> None:
    latest = home / "output/latest/n.ipynb"
    assert refresh_latest(database, Folder(home / "output"), "n") is None
    succeed(home, database, "r1")
    assert refresh_latest(database, Folder(home / "output"), "n") == "latest/n.ipynb"
    newest = succeed(home, database, "r2")
    ledger.finish_run(database, start(database, "r3").split("/")[2], "failed", "x")
    for _ in range(2):
        assert refresh_latest(database, Folder(home / "output"), "n") == "latest/n.ipynb"
        assert latest.read_text() == "r2"
        assert os.listdir(latest.parent) == ["n.ipynb"]
    assert refresh_latest(database, Folder(home / "output"), "other") is None
    # As an editor does that saves in place.
    latest.write_text("a remark")
    assert newest.read_text() == "r2"
