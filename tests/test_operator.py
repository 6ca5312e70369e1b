"""The operator against real kernels: what a task returns, publishes, raises and leaves behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import waiting
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.execution_time.context import OutletEventAccessors

from notebook_pipeline import settings
from notebook_pipeline.airflow import CHECKED_DATASET, NotebookOperator
from notebook_pipeline.airflow.operator import TaskStopped
from notebook_pipeline.connections import DATABASE, default
from notebook_pipeline.storage.connect import connect

PLAYER = Asset("analytics_database/player")
PARAMETERS = tiny.parameters('count: int = 1  # how many\nname: str = "x"  # of what\nunasked: bool = False')


class Task:
    """Stand in for Airflow around `execute`: the context it gives, the XCom and events it takes."""

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        self.dag_id, self.run_id, self.task_id = "a_dag", "manual__2024-09-24T00:00:00+00:00", "a_task"
        self.map_index, self.try_number = -1, 2
        self.pushed: dict[str, Any] = {}
        self.event = SimpleNamespace(extra={})
        self.context = {"ti": self, "params": params or {}, "outlet_events": {PLAYER: self.event}}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def execute(self, **arguments: Any) -> dict[str, Any]:
        given: dict[str, Any] = {"task_id": "a_task", "input_nb": "a_notebook", "outlets": [PLAYER]}
        operator = NotebookOperator(**given | arguments)
        execute: Any = NotebookOperator.execute
        return execute.__wrapped__(operator, self.context)


def ledger() -> list[dict[str, Any]]:
    if not settings.database().exists():
        return []
    with connect(default(DATABASE), read_only=True) as database:
        return database.query("SELECT * FROM pipeline_run ORDER BY run_id").to_pylist()


def notebook(home: Path, *cells: Any) -> None:
    tiny.write(home / "notebooks" / "a_notebook.ipynb", PARAMETERS, *cells)


def test_a_task_returns_one_small_plain_result_and_publishes_it(home: Path) -> None:
    notebook(
        home, tiny.says(verdict="passed", watermark="2024-09-01", missing=None, status="fine", run_id="mine")
    )
    task = Task()
    result = task.execute()
    [row] = ledger()
    assert result == {
        "run_id": row["run_id"],
        "status": "success",
        "artifact": row["artifact"],
        "verdict": "passed",
        "watermark": "2024-09-01",
    }
    assert json.loads(json.dumps(result)) == result
    assert task.event.extra == result
    assert (settings.output() / result["artifact"]).name == "a_task__try2.ipynb"
    identity = {name: row[name] for name in ("dag_id", "dag_run_id", "task_id", "map_index", "try_number")}
    assert identity == {
        "dag_id": "a_dag",
        "dag_run_id": "manual__2024-09-24T00:00:00+00:00",
        "task_id": "a_task",
        "map_index": -1,
        "try_number": 2,
    }


def published(task: Task, **arguments: Any) -> list[tuple[str, str]]:
    """Return name and run id of each asset event that a task with the outlet CHECKED_DATASET asks for."""
    events = OutletEventAccessors()
    task.context["outlet_events"] = events
    try:
        task.execute(outlets=[CHECKED_DATASET], **arguments)
    finally:
        asked = events[CHECKED_DATASET].asset_alias_events
    return [(event.dest_asset_key.name, str(event.extra["run_id"])) for event in asked]


@pytest.mark.parametrize(
    ("form", "parameters", "dataset"),
    [
        ({}, {}, "player"),
        ({"dataset": "team"}, {}, "team"),
        ({"dataset": "team"}, {"dataset": "week"}, "week"),
    ],
)
def test_the_dataset_of_the_run_decides_which_asset_is_published(
    home: Path, form: dict[str, Any], parameters: dict[str, Any], dataset: str
) -> None:
    declared = tiny.parameters('dataset: str = "player"')
    tiny.write(home / "notebooks" / "a_notebook.ipynb", declared, tiny.says(ok=True))
    events = published(Task(form), parameters=parameters)
    assert events == [(f"analytics_database/{dataset}", ledger()[0]["run_id"])]


def test_a_failed_check_publishes_no_dataset(home: Path) -> None:
    tiny.write(home / "notebooks" / "a_notebook.ipynb", tiny.parameters('dataset: str = "player"'), "1 / 0")
    task = Task()
    with pytest.raises(AirflowException):
        published(task)
    assert task.context["outlet_events"][CHECKED_DATASET].asset_alias_events == []


def test_a_task_that_cannot_know_its_dataset_is_refused_before_a_kernel_starts(home: Path) -> None:
    notebook(home, tiny.says(ok=True))
    with pytest.raises(AirflowFailException, match="a_notebook has no parameter `dataset`"):
        published(Task())
    assert ledger() == []


def test_own_parameters_win_over_the_form_and_the_form_over_the_notebook(home: Path) -> None:
    notebook(home, tiny.says(ok=True))
    form = {"count": 2, "name": "form", "unasked": None, "of_another_notebook": 5}
    Task(form).execute(parameters={"name": "task"})
    assert json.loads(ledger()[0]["parameters"]) == {"count": 2, "name": "task", "unasked": False}


def test_a_failure_that_may_pass_is_retried_and_told(home: Path) -> None:
    notebook(home, "raise OSError('the disk is tired')")
    task = Task()
    with pytest.raises(AirflowException, match=r"OSError: the disk is tired.*a_task__try2\.ipynb") as raised:
        task.execute()
    assert not isinstance(raised.value, AirflowFailException)
    assert task.pushed["return_value"]["error"] == "OSError: the disk is tired"
    assert task.event.extra == {}


def test_refused_data_is_not_retried(home: Path) -> None:
    refusal = "from notebook_pipeline.errors import DataRefused\nraise DataRefused('12 rows were rejected')"
    notebook(home, refusal)
    with pytest.raises(AirflowFailException, match="DataRefused: 12 rows were rejected"):
        Task().execute()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"cuont": 1}, "unknown parameter cuont"),
        ({"count": "one"}, "parameter count is a text of length 3; expected a whole number"),
    ],
)
def test_wrong_parameters_fail_at_once_before_a_kernel_starts(
    home: Path, parameters: dict[str, Any], said: str
) -> None:
    notebook(home, tiny.says(ok=True))
    with pytest.raises(AirflowFailException) as raised:
        Task().execute(parameters=parameters)
    assert said in str(raised.value)
    assert ledger() == []


def test_what_the_runner_decides_cannot_be_asked_for() -> None:
    with pytest.raises(TypeError, match="does not accept kernel_name, output_nb: the runner sets it"):
        NotebookOperator(task_id="a_task", input_nb="a_notebook", output_nb="here", kernel_name="r")


def test_a_task_that_does_not_run_a_notebook_has_nothing_to_kill() -> None:
    NotebookOperator(task_id="a_task", input_nb="a_notebook").on_kill()


STOPPED_TASK = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_operator import NotebookOperator, Task
operator = NotebookOperator(task_id="a_task", input_nb="a_notebook")
signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
if {orphan!r} and os.fork():
    os.waitpid(-1, 0)
NotebookOperator.execute.__wrapped__(operator, Task().context)
"""


@pytest.mark.parametrize("way", ["SIGTERM", "its supervisor is killed"])
def test_a_task_that_is_told_to_stop_ends_its_kernel_and_says_so(home: Path, way: str) -> None:
    started = home / "started"
    notebook(home, f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(600)")
    script = STOPPED_TASK.format(tests=str(Path(__file__).parent), orphan=way != "SIGTERM")
    task = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    waiting.until_there(started)
    processes = waiting.family(task.pid)
    task.send_signal(signal.SIGTERM if way == "SIGTERM" else signal.SIGKILL)
    assert waiting.left_of(processes, seconds=20) == []
    assert TaskStopped.__name__ in (task.stderr.read() if task.stderr else "")
    [row] = ledger()
    assert (row["status"], row["error"]) == ("failed", "stopped by TaskStopped: task a_task was told to stop")
    artefact = json.loads((settings.output() / row["artifact"]).read_text())
    assert artefact["metadata"]["notebook_pipeline"]["status"] == "failed"
