"""The command line tells the truth by its exit code, its one JSON object, the artefact and the ledger."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import databases
import loads
import pytest
import tiny
from seeds import fresh
from waiting import family, left_of, until

from notebook_pipeline import settings
from notebook_pipeline.commands.main import main
from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.storage.connect import connect

COMMAND = [sys.executable, "-m", "notebook_pipeline"]
# Does what it is told.
_DO = """
import os, time, subprocess
from pathlib import Path
if how == "raise":
    raise ValueError("as told")
if how == "exit":
    os._exit(3)
if how == "die":
    os.kill(os.getpid(), 9)
if how == "hold":
    from notebook_pipeline.connections import DATABASE, resolve
    from notebook_pipeline.storage.connect import connect
    database = connect(resolve(DATABASE))
    database.execute("BEGIN IMMEDIATE")
    database.execute("DELETE FROM pipeline_run")
if how in ("sleep", "hold"):
    child = subprocess.Popen(["sleep", "600"])
    Path("sleeps").touch()
    time.sleep(600)
if how == "wait":
    Path("waits").touch()
    while not Path("go").exists():
        time.sleep(0.02)
time.sleep(wait)
"""
OBEDIENT = (
    tiny.parameters('how: str = ""\nwait: float = 0.0'),
    "print('one')",
    "## Do as told",
    _DO,
    "## After",
    tiny.says(rows=1),
)


@pytest.fixture
def notebooks(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # A short name, for sockets live in it.
    with tempfile.TemporaryDirectory(prefix="np-", dir="/tmp") as temporary:
        monkeypatch.setenv("TMPDIR", temporary)
        monkeypatch.setattr("tempfile.tempdir", temporary)
        tiny.write(home / "notebooks" / "obedient.ipynb", *OBEDIENT)
        yield home / "notebooks"
        until(lambda: list(Path(temporary).glob("nbp-*")) == [])


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=os.environ | {"NOTEBOOK_PIPELINE_SAVE_SECONDS": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command here and return its exit code and the one JSON object on its standard output."""
    capsys.readouterr()
    code = main([*arguments, "--json"])
    output, errors = capsys.readouterr()
    assert output.count("\n") == 1, errors
    return code, json.loads(output)


def told(home: Path, artifact: str) -> tuple[str, str | None, list[str]]:
    """Return status, error and the cells' states as the artefact tells them."""
    notebook = json.loads((home / "output" / artifact).read_bytes())
    about = notebook["metadata"]["notebook_pipeline"]
    cells = [
        cell["metadata"]["papermill"]["status"]
        for cell in notebook["cells"]
        if "papermill" in cell["metadata"]
    ]
    return about["status"], about.get("error"), cells


def rows() -> list[dict[str, Any]]:
    with connect(resolve(DATABASE)) as database:
        return database.query("SELECT * FROM pipeline_run ORDER BY run_id").to_pylist()


FAILED_CELLS = ["completed"] * 4 + ["failed", "not run", "not run"]


def test_a_success_is_exit_0_one_object_and_a_line_that_names_the_artefact(
    home: Path, notebooks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("run", "obedient", "-p", "wait", "0.1")
    output, errors = process.communicate(timeout=120)
    artifact = home / "output" / rows()[0]["artifact"]
    assert (process.returncode, output) == (0, f"success: {artifact}\n")
    assert "    one\n" in errors
    assert "] After: done in" in errors
    code, object_ = answer(capsys, "run", "obedient")
    assert code == 0
    assert object_ == {
        "run_id": rows()[1]["run_id"],
        "status": "success",
        "artifact": str(home / "output" / rows()[1]["artifact"]),
        "result": {"rows": 1},
        "error": None,
    }


LONG = pytest.mark.soak
WAYS = [
    pytest.param("raise", None, [], "ValueError: as told", id="exception"),
    pytest.param(
        "die",
        None,
        [],
        "the kernel died: killed by SIGKILL, as the system does when memory runs out",
        id="kernel killed",
        marks=LONG,
    ),
    pytest.param("exit", None, [], "the kernel died: exited with code 3", id="kernel exits", marks=LONG),
    pytest.param(
        # Only the cell that sleeps takes as long as this, however busy the machine is.
        "sleep",
        None,
        ["--cell-timeout", "15"],
        "cell timeout: not finished after 15.0 s",
        id="cell timeout",
    ),
    pytest.param("sleep", signal.SIGTERM, [], "stopped by SIGTERM", id="SIGTERM"),
    pytest.param("sleep", signal.SIGINT, [], "stopped by SIGINT", id="SIGINT", marks=LONG),
    pytest.param("sleep", signal.SIGHUP, [], "stopped by SIGHUP", id="SIGHUP", marks=LONG),
    pytest.param("sleep", signal.SIGKILL, [], "process lost", id="SIGKILL"),
]


@pytest.mark.parametrize(("how", "sent", "options", "error"), WAYS)
def test_every_way_to_end_a_run_is_told_and_a_retry_succeeds(
    home: Path,
    notebooks: Path,
    capsys: pytest.CaptureFixture[str],
    how: str,
    sent: signal.Signals | None,
    options: Sequence[str],
    error: str,
) -> None:
    process = start("run", "obedient", "-p", "how", how, "--json", *options)
    processes = []
    if sent:
        until((notebooks / "sleeps").exists)
        processes = family(process.pid)
        assert len(processes) == 4
        process.send_signal(sent)
    output, errors = process.communicate(timeout=120)
    assert left_of(processes) == []
    if sent == signal.SIGKILL:
        assert (process.returncode, output) == (-signal.SIGKILL, "")
        assert rows()[0]["status"] == told(home, rows()[0]["artifact"])[0] == "running"
    else:
        assert process.returncode == 1
        object_ = json.loads(output)
        assert (object_["status"], object_["error"], object_["result"]) == ("failed", error, None)
        assert told(home, rows()[0]["artifact"])[0] == "failed"
        assert errors.endswith(f"failed: {error}\nfailed: {object_['artifact']}\n")
    code, retried = answer(capsys, "run", "obedient")
    assert (code, retried["status"]) == (0, "success")
    first, second = rows()
    # The given parameter adds a cell to the first.
    assert told(home, first["artifact"]) == ("failed", error, FAILED_CELLS)
    assert (first["status"], first["error"], first["committed_at"]) == ("failed", error, None)
    assert (second["status"], second["error"]) == ("success", None)
    left = [path for path in (home / "output").rglob("*") if path.suffix in (".lock", ".tmp")]
    assert left == []


@pytest.mark.only("postgres")
def test_lost_and_failed_runs_are_told_by_a_server_too(
    each_database: str, home: Path, notebooks: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    found = databases.connection(home)
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DATABASE", found.to_json())
    process = start("run", "obedient", "-p", "how", "sleep")
    until((notebooks / "sleeps").exists)
    processes = family(process.pid)
    process.kill()
    process.communicate()
    assert left_of(processes) == []
    with connect(found) as database:
        until(lambda: not databases.others(database))
    code, object_ = answer(capsys, "run", "obedient", "-p", "how", "raise")
    lost, failed = rows()
    assert (code, object_) == (
        1,
        {
            "run_id": failed["run_id"],
            "status": "failed",
            "artifact": str(home / "output" / failed["artifact"]),
            "result": None,
            "error": "ValueError: as told",
        },
    )
    for row, error in ((lost, "process lost"), (failed, "ValueError: as told")):
        assert (row["status"], row["error"], row["committed_at"]) == ("failed", error, None)
        assert told(home, row["artifact"]) == ("failed", error, FAILED_CELLS)


def test_a_killed_runner_leaves_no_open_transaction(home: Path, notebooks: Path) -> None:
    process = start("run", "obedient", "-p", "how", "hold")
    until((notebooks / "sleeps").exists)
    process.kill()
    process.communicate()
    with connect(resolve(DATABASE)) as database:
        database.execute("PRAGMA busy_timeout = 60000")
        with database.transaction():
            kept = database.execute("SELECT status FROM pipeline_run")
    assert kept == [("running",)]


USAGE = [
    (["run", "none"], "no notebook 'none'"),
    (["run", "obedient", "-p", "hwo", "x"], "unknown parameter hwo"),
    (["run", "obedient", "-p", "wait", "long"], "expected a number"),
    (["run", "obedient", "-p", "how", "a", "-p", "how", "b"], "how is given more than once"),
    (["run", "obedient", "-p", "how"], "expected 2 arguments"),
    (["run", "obedient", "--cell-timeout", "0"], "invalid"),
    (["run", "obedient", "--cell-timeout", "inf"], "invalid"),
    (["run", "obedient", "--nope"], "unrecognized arguments: --nope"),
    (["run"], "required: NOTEBOOK"),
]


@pytest.mark.parametrize(("arguments", "says"), USAGE)
def test_wrong_usage_is_exit_2_and_starts_nothing(
    home: Path, notebooks: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--json"]) == 2
    output, errors = capsys.readouterr()
    assert says in errors
    object_ = json.loads(output)
    assert says in object_.pop("error")
    assert object_ == {"run_id": None, "status": "failed", "artifact": None, "result": None}
    assert main(arguments) == 2
    assert capsys.readouterr().out == ""
    assert not (home / "output").exists()


def test_the_sample_is_written_where_it_is_asked_for(
    home: Path, notebooks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(home / "there")]) == 0
    written = [home / "there" / name for name in ("players.parquet", "players.csv")]
    assert capsys.readouterr().out == "".join(f"{path}\n" for path in written)
    assert all(path.is_file() for path in written)


def test_the_sample_api_is_served_until_a_signal(home: Path, notebooks: Path) -> None:
    process = start("api", "--port", "0")
    assert process.stderr
    url = process.stderr.readline().split()[-1]
    with urllib.request.urlopen(url) as reply:
        assert json.load(reply) == {"message": "API health check successful"}
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_a_port_that_is_taken_is_named(notebooks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["api", "--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
    assert main(["api", "--port", "70000"]) == 1
    assert "cannot listen on 127.0.0.1:70000" in capsys.readouterr().err


def test_a_locale_without_a_character_is_told_it_in_others(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loads.open_database(settings.output()) as database:
        loads.run(database, loads.BULK, loads.checked([(1, "Šarić", "2024-01-01")]))
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    output, errors = start("trace", "player", "1").communicate()
    assert ("\\u0160ari\\u0107" in output, errors) == (True, "")


def test_a_number_below_zero_is_a_value(
    home: Path, notebooks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "obedient", "-p", "wait", "-x"]) == 2
    assert "parameter wait is a text of length 2; expected a number" in capsys.readouterr().err
    assert main(["run", "obedient", "-p", "nope", "-1"]) == 2
    assert "unknown parameter nope" in capsys.readouterr().err


def test_an_error_before_the_run_is_exit_1_with_an_object(
    home: Path, notebooks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "output").write_text("a file where a folder should be")
    assert main(["run", "obedient", "--json"]) == 1
    object_ = json.loads(capsys.readouterr().out)
    assert object_["status"] == "failed"
    assert "cannot be opened as a database" in object_["error"]


def test_an_output_that_cannot_be_written_is_told_the_same_way(
    home: Path, notebooks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "output").mkdir()
    (home / "output" / "runs").write_text("a file where a folder should be")
    code, object_ = answer(capsys, "run", "obedient")
    assert (code, object_["status"]) == (1, "failed")
    assert str(home / "output" / "runs") in object_["error"]
    assert rows() == []


def test_a_run_outlives_the_terminal_where_that_was_asked_for(home: Path, notebooks: Path) -> None:
    process = subprocess.Popen(
        ["nohup", *COMMAND, "run", "obedient", "-p", "how", "wait"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    until((notebooks / "waits").exists)
    process.send_signal(signal.SIGHUP)
    (notebooks / "go").touch()
    assert process.wait(120) == 0


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", fresh(1))
def test_a_run_that_is_killed_at_any_moment_is_settled_by_the_next(
    home: Path, notebooks: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    moments = random.Random(seed)  # noqa: S311
    for _ in range(25):
        process = start("run", "obedient", "-p", "wait", "1")
        try:
            process.wait(moments.uniform(0.5, 6))
            processes = []
        except subprocess.TimeoutExpired:
            processes = family(process.pid)
            process.kill()
        process.communicate()
        assert left_of(processes) == []
    # Killed just before it started its kernel, a run leaves a folder; a run that is a minute later sweeps it.
    for folder in Path(tempfile.gettempdir()).glob("nbp-*"):
        os.utime(folder, (0, 0))
    assert answer(capsys, "run", "obedient")[0] == 0
    for row in rows():
        status, error, cells = told(home, row["artifact"])
        assert (status, error) == (row["status"], row["error"])
        assert error in (None, "process lost")
        # Completed, then at most one that failed, then what was not run; a success completed them all.
        assert cells == sorted(cells, key=["completed", "failed", "not run"].index)
        assert cells.count("failed") <= 1
        assert status == "failed" or set(cells) == {"completed"}
    assert {row["status"] for row in rows()} == {"success", "failed"}
    # Killed just before its row was written, or just after it was closed, a process leaves its lock.
    assert main(["prune"]) == 0
    assert [path for path in (home / "output").rglob("*") if path.suffix in (".lock", ".tmp")] == []


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_two_hundred_runs_leave_nothing_behind(home: Path, notebooks: Path) -> None:
    tiny.write(notebooks / "tiny.ipynb", "1")
    before = family(os.getpid())
    for _ in range(200):
        assert main(["run", "tiny"]) == 0
    assert len(rows()) == 200
    assert {row["status"] for row in rows()} == {"success"}
    files = [path for path in (home / "output").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".ipynb", ".db", ".db-wal", ".db-shm"}
    assert len([path for path in files if path.suffix == ".ipynb"]) == 201
    assert set(family(os.getpid())) <= set(before)


@pytest.mark.soak
def test_eight_commands_at_once_all_succeed(home: Path, notebooks: Path) -> None:
    processes = [start("run", "obedient") for _ in range(8)]
    for process in processes:
        process.communicate(timeout=120)
    assert [process.returncode for process in processes] == [0] * 8
    assert [row["status"] for row in rows()] == ["success"] * 8


@pytest.mark.parametrize("command", ["api", "sample"])
def test_the_sample_is_served_and_written_from_a_checkout_only(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings, "CHECKOUT", tmp_path)
    assert main([command]) == 2
    assert capsys.readouterr().err == (
        "notebook-pipeline: this command needs a checkout of the project: the sample is not in the package\n"
    )
