"""Whatever ends a run, its artefact and its ledger row say so, and nothing of it is left."""

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import tiny
from executed import Executed, execute, row_of
from waiting import left_of, until_there

from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.running.background import Stop
from notebook_pipeline.running.run_identity import Identity
from notebook_pipeline.running.run_notebook import run_notebook
from notebook_pipeline.storage.connect import connect

MARK = "from pathlib import Path; Path('started').touch(); import time; time.sleep(600)"


def in_ledger(changes: str) -> str:
    """Return the code of a cell that changes its own run's row."""
    return (
        "import os\nfrom notebook_pipeline.connections import DATABASE, resolve\n"
        "from notebook_pipeline.storage.connect import connect\n"
        f"change = {'UPDATE pipeline_run SET ' + changes + ' WHERE run_id = ?'!r}\n"
        "with connect(resolve(DATABASE)) as db: db.execute(change, [os.environ['NOTEBOOK_PIPELINE_RUN_ID']])"
    )


@pytest.fixture(autouse=True)
def _leaves_nothing(home: Path):
    """Hold every run here to leaving no process, lock or temporary file behind."""
    before = set(psutil.Process().children(recursive=True))
    yield
    assert left_of([*(set(psutil.Process().children(recursive=True)) - before)]) == []
    left = [path for path in (home / "output").rglob("*") if path.suffix in (".lock", ".tmp")]
    assert left == []


def assert_failed(run: Executed, error: str, states: list[str], place: str) -> None:
    """Assert that artefact, papermill's part of it, ledger and the answer agree on a failure."""
    assert error in (run.finished.error or "")
    assert run.finished.status == run.row["status"] == run.about["status"] == "failed"
    assert run.finished.error == run.row["error"] == run.about["error"]
    assert run.states == states
    assert run.notebook["metadata"]["papermill"]["exception"] is True
    assert (run.finished.error or "").splitlines()[0] in run.banner
    assert place in run.banner
    assert run.row["finished_at"]


def test_a_success_is_told_in_full_and_the_same_everywhere(home: Path) -> None:
    declared = tiny.parameters('dataset: str = "player"\nrows: int = 1')
    count = in_ledger("rows_read = 3, rows_inserted = 3, committed_at = started_at")
    identity = Identity("dag", "scheduled__2026-11-22T00:00:00+00:00", "load", 2, 3)
    run = execute(home, declared, count, tiny.says(rows=3), parameters={"rows": 2}, identity=identity)
    source = home / "notebooks" / "n.ipynb"
    finished = run.finished
    assert Path(finished.artifact).parts[:2] == ("runs", "dag")
    assert Path(finished.artifact).name == "load__m2__try3.ipynb"
    assert finished.address == str(home / "output" / finished.artifact)
    assert run.row == {
        "run_id": finished.run_id,
        "dag_id": "dag",
        "dag_run_id": "scheduled__2026-11-22T00:00:00+00:00",
        "task_id": "load",
        "map_index": 2,
        "try_number": 3,
        "notebook": "n",
        "notebook_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "parameters": json.dumps({"dataset": "player", "rows": 2}),
        "dataset": "player",
        "source": None,
        "status": "success",
        "started_at": run.row["started_at"],
        "committed_at": run.row["started_at"],
        "finished_at": run.row["finished_at"],
        "rows_read": 3,
        "rows_inserted": 3,
        "rows_updated": None,
        "rows_unchanged": None,
        "rows_stale": None,
        "rows_rejected": None,
        "rows_deleted": None,
        "watermark_before": None,
        "watermark_after": None,
        "artifact": finished.artifact,
        "error": None,
    }
    assert run.row["started_at"] < run.row["finished_at"]
    same = (
        "run_id",
        "dag_id",
        "dag_run_id",
        "task_id",
        "map_index",
        "try_number",
        "notebook",
        "notebook_sha256",
    )
    same += ("started_at", "committed_at", "watermark_before", "watermark_after", "status", "error")
    assert {name: run.about[name] for name in same} == {name: run.row[name] for name in same}
    assert run.about["parameters"] == {"dataset": "player", "rows": 2}
    assert run.about["result"] == finished.result == {"rows": 3}
    assert run.about["rows"] == finished.rows == {"rows_read": 3, "rows_inserted": 3}
    assert {"python", "papermill", "ipykernel", "notebook_pipeline"} <= run.about["versions"].keys()
    assert (finished.status, finished.error, finished.retryable) == ("success", None, True)
    assert run.states == ["completed"] * 4
    assert run.notebook["metadata"]["papermill"]["exception"] is None
    assert (home / "output/latest/n.ipynb").read_bytes() == Path(finished.address).read_bytes()
    assert Path(finished.address).stat().st_mode & 0o777 == 0o600


WAYS = {
    "exception": ("1 / 0", {}, "ZeroDivisionError: division by zero"),
    "error in syntax": ("1 +", {}, "SyntaxError: invalid syntax"),
    "sys.exit": ("import sys; sys.exit(3)", {}, "SystemExit: 3"),
    "kernel exits": ("import os; os._exit(3)", {}, "the kernel died: exited with code 3"),
    "kernel killed": (
        "import os; os.kill(os.getpid(), 9)",
        {},
        "the kernel died: killed by SIGKILL, as the system does when memory runs out",
    ),
    "kernel crashes": ("import os; os.kill(os.getpid(), 11)", {}, "the kernel died: killed by SIGSEGV"),
    "cell timeout": (
        "import time; time.sleep(600)",
        {"cell_timeout": 0.5},
        "cell timeout: not finished after 0.5 s",
    ),
    "cell timeout while locked": (
        "import re; re.match('(a+)+b', 'a' * 60)",
        {"cell_timeout": 0.5},
        "cell timeout: not finished after 0.5 s",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_failure_in_a_cell_names_the_cell_and_the_cause(home: Path, way: str) -> None:
    code, options, error = WAYS[way]
    run = execute(home, "print('one')", "## Do it", code, "## Then", "print('three')", **options)
    states = ["completed", "completed", "failed", "not run", "not run"]
    assert_failed(run, error, states, "in the cell “Do it”")
    assert run.printed.startswith("one\n")
    assert not (home / "output/latest/n.ipynb").exists()


def test_a_run_that_another_process_settled_does_not_claim_success(home: Path) -> None:
    run = execute(home, in_ledger("status = 'failed', error = 'process lost'"))
    assert run.finished.error == "process lost: another process settled this run while it was running"
    assert (run.about["status"], run.row["status"]) == ("failed", "failed")
    assert run.row["error"] == "process lost"
    assert "after its last cell" in run.banner


def test_an_artefact_that_cannot_be_written_fails_the_run_in_the_ledger(home: Path) -> None:
    remove = "import shutil; shutil.rmtree('../output/runs')"
    tiny.write(home / "notebooks" / "n.ipynb", remove)
    finished = run_notebook("n", {})
    assert finished.status == "failed"
    assert "No such file or directory" in (finished.error or "")
    assert row_of(finished.run_id)["status"] == "failed"


def test_a_kernel_that_dies_at_its_start_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "ipykernel.py").write_text("raise ImportError('this environment is broken')")
    monkeypatch.setenv("PYTHONPATH", str(home))
    run = execute(home, "1")
    assert_failed(run, "this environment is broken", ["not run"], "before its first cell")


def test_a_kernel_that_does_not_start_in_time_is_not_waited_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "ipykernel.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(home))
    run = execute(home, "1", start_timeout=1)
    assert_failed(run, "didn't respond in 1 seconds", ["not run"], "before its first cell")


def test_a_stop_from_another_thread_is_the_cause_that_is_told(home: Path) -> None:
    stop = Stop()

    def request() -> None:
        until_there(home / "notebooks" / "started")
        stop.request("the task was marked as failed")

    thread = threading.Thread(target=request)
    thread.start()
    run = execute(home, "1", "## Wait", MARK, "3", stop=stop)
    thread.join()
    assert_failed(
        run, "the task was marked as failed", ["completed", "completed", "failed", "not run"], "“Wait”"
    )


def test_a_stop_before_the_start_ends_before_the_first_cell(home: Path) -> None:
    stop = Stop()
    stop.request("stopped by SIGTERM")
    run = execute(home, "1", stop=stop)
    assert_failed(run, "stopped by SIGTERM", ["not run"], "before its first cell")


class TaskTimeout(BaseException):
    """Stand for what Airflow raises in the main thread when a task's time is over."""


def test_an_exception_in_this_thread_is_raised_again_after_the_last_word(home: Path) -> None:
    tiny.write(home / "notebooks" / "n.ipynb", "print('go', flush=True)\nimport time; time.sleep(600)", "2")

    def report(line: str) -> None:
        if line == "    go":
            raise TaskTimeout("after 5 s")

    with pytest.raises(TaskTimeout):
        run_notebook("n", {}, report=report)
    (artefact,) = (home / "output/runs").rglob("*.ipynb")
    notebook = json.loads(artefact.read_bytes())
    about = notebook["metadata"]["notebook_pipeline"]
    assert about["error"] == row_of(about["run_id"])["error"] == "stopped by TaskTimeout: after 5 s"
    assert [c["metadata"]["papermill"]["status"] for c in notebook["cells"][1:]] == ["failed", "not run"]


@pytest.mark.parametrize("given", [{"nope": 1}, {"rows": "1"}, {}])
def test_wrong_usage_starts_nothing(home: Path, given: dict[str, Any]) -> None:
    tiny.write(home / "notebooks" / "n.ipynb", tiny.parameters("rows: int"), "1")
    with pytest.raises(UsageError):
        run_notebook("n", given)
    assert not (home / "output").exists()


def test_a_database_that_cannot_be_opened_is_an_error_before_any_cell(home: Path) -> None:
    (home / "output").mkdir()
    (home / "output/analytics_database.db").write_text("this is no database" * 100)
    with pytest.raises(PipelineError, match="not a database"):
        execute(home, "open('ran', 'w')")
    assert not (home / "notebooks/ran").exists()
    assert not (home / "output/runs").exists()


def test_a_failure_after_the_commit_keeps_what_was_committed(home: Path) -> None:
    run = execute(
        home, in_ledger("rows_read = 1, rows_inserted = 1, committed_at = started_at"), "os._exit(1)"
    )
    assert run.row["status"] == "failed"
    assert run.row["committed_at"] == run.about["committed_at"]
    assert run.about["rows"] == {"rows_read": 1, "rows_inserted": 1}


def test_the_artefact_follows_while_the_notebook_runs(home: Path) -> None:
    look = """
import json, glob, time
def seen():
    [path] = glob.glob('../output/runs/*/*/*.ipynb')
    return [cell['metadata']['papermill']['status'] for cell in json.load(open(path))['cells']]
deadline = time.monotonic() + 60
while seen()[1] != 'running' and time.monotonic() < deadline: time.sleep(0.05)
print('seen', seen(), flush=True)
"""
    run = execute(home, "1", look, "3")
    seen = [line for line in run.lines if "seen" in line]
    assert seen == ["    seen ['completed', 'running', 'pending']"]


def test_lost_runs_are_settled_before_the_next_one(home: Path) -> None:
    execute(home, "1")
    with connect(resolve(DATABASE)) as database:
        database.execute("UPDATE pipeline_run SET status = 'running', finished_at = NULL")
    run = execute(home, "1")
    assert any("settled run" in line and "process lost" in line for line in run.lines)
    with connect(resolve(DATABASE)) as database:
        rows = database.execute("SELECT status, error FROM pipeline_run ORDER BY run_id")
    assert rows == [("failed", "process lost"), ("success", None)]


def test_a_run_that_is_at_work_is_not_settled_by_the_next_one(home: Path) -> None:
    wait = "while not Path('go').exists(): time.sleep(0.02)"
    code = f"from pathlib import Path\nimport time\nPath('started').touch()\n{wait}"
    tiny.write(home / "notebooks" / "slow.ipynb", code)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(run_notebook, "slow", {})
        until_there(home / "notebooks" / "started")
        other = execute(home, "1")
        (home / "notebooks" / "go").touch()
        assert (slow.result().error, other.finished.error) == (None, None)
    assert not any("settled" in line for line in other.lines)


def test_the_newest_success_is_made_the_latest_by_the_next_run_if_need_be(home: Path) -> None:
    address = execute(home, "1").finished.address
    latest = home / "output/latest/n.ipynb"
    latest.unlink()
    execute(home, "1 / 0")
    assert latest.read_bytes() == Path(address).read_bytes()


def test_eight_at_once_all_succeed(home: Path) -> None:
    tiny.write(home / "notebooks" / "n.ipynb", tiny.parameters("n: int = 0"), "print(n)")
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda n: run_notebook("n", {"n": n}), range(8)))
    assert [run.error for run in runs] == [None] * 8
    printed = [json.loads(Path(run.address).read_bytes())["cells"][2]["outputs"][0]["text"] for run in runs]
    assert printed == [[f"{n}\n"] for n in range(8)]


def test_a_run_that_ends_early_is_a_success_that_says_why(home: Path) -> None:
    guard = "from notebook_pipeline.steps import end_run\nend_run('nothing *new*')\nprint('no')"
    run = execute(home, "1", guard, "raise ValueError")
    assert (run.finished.status, run.finished.error, run.row["status"]) == ("success", None, "success")
    assert run.states == ["completed", "completed", "not run"]
    assert run.about["ended_early"] == "nothing *new*"
    assert "with success: nothing \\*new\\*." in run.banner
    shown = run.notebook["cells"][2]["outputs"]
    assert [output["output_type"] for output in shown] == ["display_data"]
    assert shown[0]["data"]["text/plain"] == ["The run ends here: nothing *new*"]
    assert json.loads((home / "output/latest/n.ipynb").read_text()) == run.notebook


@pytest.mark.parametrize("call", ["exit()", "import sys\nsys.exit()", "import sys\nsys.exit(0)"])
def test_exit_in_a_cell_ends_the_run_early(home: Path, call: str) -> None:
    run = execute(home, call, "raise ValueError")
    assert (run.finished.status, run.states) == ("success", ["completed", "not run"])
    assert run.about["ended_early"] == f"a cell called {call.splitlines()[-1].replace('0', '')}"
    assert "error" not in [output["output_type"] for output in run.notebook["cells"][1]["outputs"]]


def test_exit_with_another_code_than_0_fails(home: Path) -> None:
    run = execute(home, "import sys\nsys.exit(3)", "1")
    assert (run.finished.status, run.finished.error) == ("failed", "SystemExit: 3")


WAITS = "import atexit, threading, time\ndef work():\n    time.sleep(8)\n    open('done', 'w').close()\n"


@pytest.mark.parametrize("start", ["threading.Thread(target=work).start()", "atexit.register(work)"])
def test_what_a_notebook_has_begun_is_waited_for(home: Path, start: str) -> None:
    run = execute(home, WAITS + start)
    assert run.finished.status == "success"
    assert (home / "notebooks/done").exists()
    assert "waiting up to 60 s for threads and exit handlers of the notebook" in run.lines


def test_what_does_not_end_fails_the_run(home: Path) -> None:
    waits = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()"
    run = execute(home, waits, end_timeout=1)
    assert run.finished.status == "failed"
    assert "1 s after the last cell, a thread or an exit handler" in str(run.finished.error)


def test_a_process_in_a_session_of_its_own_ends_with_the_run(home: Path) -> None:
    start = "import subprocess\nprint(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    run = execute(home, start)
    pid = int(run.printed)
    assert left_of([psutil.Process(pid)] if psutil.pid_exists(pid) else []) == []
    assert f"killed processes that the notebook had left running: sleep ({pid})" in run.lines


def test_half_a_surrogate_pair_does_no_harm(home: Path) -> None:
    run = execute(home, r"print('x\ud800y')", "text = '\ud800'; print(len(text))")
    assert run.finished.status == "success"
    assert run.printed == "x\ufffdy\n1\n"
