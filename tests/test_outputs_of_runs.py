"""Whole runs whose executed notebooks lie on an object store."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import s3fs
import tiny
from conftest import SECRET
from executed import row_of
from waiting import until

from notebook_pipeline import settings
from notebook_pipeline.commands.main import main
from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.outputs import artefact_writer
from notebook_pipeline.outputs.output_store import open_output
from notebook_pipeline.running.run_notebook import Finished, run_notebook
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.tables import create_tables

# The kernel's folder is that of its notebook.
WAITS = "import time; from pathlib import Path\nwhile not Path('go').exists(): time.sleep(0.02)"


def run(home: Path, *cells: Any, lines: list[str] | None = None) -> Finished:
    tiny.write(home / "notebooks/n.ipynb", *cells)
    return run_notebook("n", {}, report=[].append if lines is None else lines.append)


def notebook_of(key: str) -> dict[str, Any]:
    return json.loads(open_output().read(key))


def about(key: str) -> Mapping[str, Any]:
    return notebook_of(key)["metadata"]["notebook_pipeline"]


def local_files(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "output").rglob("*") if path.is_file())


def test_a_run_leaves_its_notebook_on_the_store_and_the_database_here(
    home: Path, stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write(home / "notebooks/n.ipynb", "print('hello')", tiny.says(rows=3))
    assert main(["run", "n", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    row = row_of(told["run_id"])
    key = f"runs/manual/{told['run_id']}/n__try1.ipynb"
    assert (row["artifact"], told["artifact"], row["status"]) == (key, f"{stored}/{key}", "success")
    assert (about(key)["status"], about(key)["result"]) == ("success", {"rows": 3})
    assert open_output().read("latest/n.ipynb") == open_output().read(key)
    assert sorted(open_output().stamps("runs")) == [key]
    assert [name for name in local_files(home) if not name.startswith("analytics_database.db")] == []


def test_a_kernel_sees_no_credentials_and_nobody_their_value(home: Path, stored: str) -> None:
    told = "import os\nprint(sorted(name for name in os.environ if name.startswith('AWS_')))"
    guessed = f"print('{SECRET}', os.environ['NOTEBOOK_PIPELINE_OUTPUT'])"
    finished = run(home, told, guessed)
    assert _printed([finished.artifact]) == ["[]\n", f"*** {stored}\n"]


def test_a_failed_cell_is_told_on_the_store_and_the_latest_stays(
    home: Path, stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = run(home, "1")
    tiny.write(home / "notebooks/n.ipynb", "1 / 0", "2")
    assert main(["run", "n"]) == 1
    [address] = capsys.readouterr().out.splitlines()
    key = address.removeprefix(f"failed: {stored}/")
    assert about(key)["error"] == "ZeroDivisionError: division by zero"
    states = [cell["metadata"].get("papermill", {}).get("status") for cell in notebook_of(key)["cells"]]
    assert states == [None, "failed", "not run"]
    assert about("latest/n.ipynb")["run_id"] == good.run_id


def test_a_killed_run_is_settled_on_the_store_by_the_next(home: Path, stored: str) -> None:
    tiny.write(home / "notebooks/slow.ipynb", "1", WAITS, "3")
    command = [sys.executable, "-m", "notebook_pipeline", "run", "slow"]
    runner = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    [key] = until(lambda: list(open_output().stamps("runs")))
    until(lambda: row_of(Path(key).parent.name)["status"] == "running")
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    assert about(key)["status"] == "running"
    lines: list[str] = []
    run(home, "1", lines=lines)
    assert any("settled run" in line for line in lines)
    assert (about(key)["status"], about(key)["error"]) == ("failed", ledger.LOST)
    assert "process lost" in "".join(notebook_of(key)["cells"][0]["source"])
    assert row_of(Path(key).parent.name)["error"] == ledger.LOST


def test_the_notebook_on_the_store_follows_its_run_and_outlives_an_outage(
    home: Path, stored: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artefact_writer, "SECONDS_BETWEEN_PUTS", 0.05)
    system, lines = s3fs.S3FileSystem(skip_instance_cache=True), list[str]()
    cells = ["print('one')", WAITS, "print('three')", WAITS.replace("go", "end")]
    with ThreadPoolExecutor(1) as pool:
        finished = pool.submit(run, home, *cells, lines=lines)
        try:
            until(lambda: _states(open_output().stamps("runs")) == ["completed", "running", *["pending"] * 2])
            assert _printed(open_output().stamps("runs")) == ["one\n"]
            system.rm(bucket, recursive=True)
            (home / "notebooks/go").touch()
            until(lambda: any("could not be updated" in line for line in lines))
            system.mkdir(bucket)
            until(lambda: _printed(open_output().stamps("runs")) == ["one\n", "three\n"])
        finally:
            for name in ("go", "end"):
                (home / "notebooks" / name).touch()
    assert (finished.result().status, about(finished.result().artifact)["status"]) == ("success", "success")
    assert len([line for line in lines if "could not be updated" in line]) == 1


def _printed(keys: Iterable[str]) -> list[str]:
    return [
        "".join(output["text"])
        for key in keys
        for cell in notebook_of(key)["cells"]
        for output in cell.get("outputs", [])
    ]


def _states(keys: Iterable[str]) -> list[str]:
    return [
        cell["metadata"]["papermill"]["status"]
        for key in keys
        for cell in notebook_of(key)["cells"]
        if cell["cell_type"] == "code"
    ]


def test_a_run_whose_notebook_cannot_be_kept_has_failed(home: Path, stored: str, bucket: str) -> None:
    remove = (
        f"import s3fs; system = s3fs.S3FileSystem(key='tester', secret={SECRET!r}, "
        f"endpoint_url={os.environ['AWS_ENDPOINT_URL']!r})\nsystem.rm({bucket!r}, recursive=True)"
    )
    finished = run(home, remove)
    assert finished.status == row_of(finished.run_id)["status"] == "failed"
    assert finished.error is not None
    assert finished.error.startswith(f"the artefact cannot be written: {stored}/{finished.artifact}: ")
    assert "bucket does not exist" in finished.error
    assert finished.retryable
    assert [name for name in local_files(home) if name.endswith(".lock")] == []


def test_a_run_does_not_begin_where_the_store_does_not_answer(
    home: Path, stored: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", f"{stored}/elsewhere")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    tiny.write(home / "notebooks/n.ipynb", "1")
    assert main(["run", "n"]) == 1
    assert f"{stored}/elsewhere/runs: " in capsys.readouterr().err
    with connect(resolve(DATABASE)) as database:
        assert database.execute("SELECT count(*) FROM pipeline_run") == [(0,)]


def test_old_notebooks_are_pruned_from_the_store(
    home: Path, stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = []
    with connect(resolve(DATABASE)) as database:
        create_tables(database)
        for number in range(3):
            keys.append(f"runs/manual/r{number}/n__try1.ipynb")
            add_run(database, f"r{number}", keys[-1])
            open_output().write(keys[-1], "{}")
    folder = settings.output() / "runs/manual/r0"
    folder.mkdir(parents=True)
    os.utime(folder, (0, 0))
    assert main(["prune", "--keep-days", "0", "--keep-last", "0"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{stored}/{key}" for key in keys[:2]]
    assert list(open_output().stamps("runs")) == keys[2:]
    assert not folder.exists()


def add_run(database: Any, run_id: str, artifact: str) -> None:
    ledger.start_run(
        database,
        run_id=run_id,
        dag_id="manual",
        dag_run_id=run_id,
        task_id="n",
        notebook="n",
        notebook_sha256="ab",
        parameters={},
        artifact=artifact,
    )
    ledger.finish_run(database, run_id, "success")


def test_the_review_is_written_to_the_store_and_only_what_changed(
    home: Path, stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [run(home, f"print('{word}')") for word in ("before", "after")]
    assert main(["review"]) == 0
    assert capsys.readouterr().out == f"2 runs, 2 pages written: {stored}/review/index.html\n"
    assert main(["review"]) == 0
    assert "2 runs, 0 pages written" in capsys.readouterr().out
    pages = {f"review/runs/{finished.run_id}.html" for finished in runs}
    assert open_output().stamps("review").keys() == {"review/index.html", "review/.state.json", *pages}
    assert b"after" in open_output().read(f"review/runs/{runs[1].run_id}.html")
    assert main(["diff", "--page"]) == 0
    address = capsys.readouterr().out.strip()
    assert b"before" in open_output().read(address.removeprefix(f"{stored}/"))
    assert [name for name in local_files(home) if name.endswith(".html")] == []
