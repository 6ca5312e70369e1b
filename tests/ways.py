"""Every way in which a notebook's task may end: what its cell does, what is done to it, what is reported.

The first try of a task ends in the way that its name says; the tries that follow succeed.
"""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import tiny
from live_airflow import LiveAirflow

from notebook_pipeline.connections import Connection, variable

DAG = "ways"
RUN_ID = "manual__2024-03-01T10:00:00+00:00"
RUN = f"dags/{DAG}/dagRuns/{RUN_ID}"
Act = Callable[[LiveAirflow, str], object]

KILLED = "the kernel died: killed by SIGKILL, as the system does when memory runs out"
STOPPED = "stopped by TaskStopped: task {} was told to stop"
# Two seconds are enough; what is not gone by now would not go by itself.
GONE = 60.0
# Only the cell that waits takes as long as this, however busy the machine is.
LONG = 60
RETRIED = [(1, "failed"), (2, "success")]

# Merges a row into a `player` of the task's own, and commits when the block has ended well.
_MERGE = """
import os, sys
from contextlib import contextmanager
sys.path.insert(0, {tests!r})
import loads
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.connections import resolve
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.tables import create_table
@contextmanager
def merged(key):
    with connect(resolve(database_conn_id)) as database:
        run = Session(os.environ["NOTEBOOK_PIPELINE_RUN_ID"], {{"dataset": "player"}}, database, None)
        create_table(database, run.dataset)
        with transaction(run, loads.API, loads.ANY_NUMBER) as merging:
            merging.merge([loads.checked([(key, "Łopez", "2024-09-01")])])
            yield
with merged(1): pass
"""
# On the first try ends as the task's name says, while a second row is merged and not committed.
_DO = """
import os, resource, signal, time
from pathlib import Path
from notebook_pipeline.errors import DataRefused
def exhaust_memory():
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + 2**28, held + 2**28))
    bytearray(2**40)
mark = Path("..", "marks", way)
with merged(2):
    if not mark.exists():
        mark.touch()
        {deeds}
"""


@dataclass(frozen=True)
class Way:
    """How a first try ends: its cell runs `deed`; `act` is applied to its task meanwhile, `then` later."""

    error: str
    deed: str = "time.sleep(600)"
    act: Act | None = None
    then: Act | None = None
    options: str = ""
    seconds: float = GONE
    tries: list[tuple[int, str]] = field(default_factory=lambda: RETRIED)

    @property
    def waits(self) -> bool:
        """Return True if the cell waits until it is ended from outside."""
        return "sleep" in self.deed


def signalled(number: signal.Signals, *, supervisor: bool = False) -> Act:
    """Return what sends a signal to a task's process, or to the one that supervises it."""

    def act(airflow: LiveAirflow, task: str) -> None:
        process = psutil.Process(airflow.tasks(RUN)[task]["pid"])
        if supervisor:
            process = process.parents()[0]
        process.send_signal(number)

    return act


def mark_failed(airflow: LiveAirflow, task: str) -> None:
    """Mark the task as failed, as a button of Airflow's pages does."""
    airflow.tell("patch", f"{RUN}/taskInstances/{task}", new_state="failed")


def clear(airflow: LiveAirflow, task: str) -> None:
    """Clear the task, so that it runs again, as a button of Airflow's pages does."""
    asked = {"dag_run_id": RUN_ID, "task_ids": [task], "dry_run": False, "only_failed": False}
    airflow.tell("post", f"dags/{DAG}/clearTaskInstances", **asked)


WAYS = {
    "exception": Way("ZeroDivisionError: division by zero", "1 / 0"),
    "data_refused": Way(
        "DataRefused: 12 rows were rejected",
        "raise DataRefused('12 rows were rejected')",
        tries=[(1, "failed")],
    ),
    "kernel_exits": Way("the kernel died: exited with code 3", "os._exit(3)"),
    "kernel_killed": Way(KILLED, "os.kill(os.getpid(), signal.SIGKILL)"),
    "memory": Way("MemoryError: ", "exhaust_memory()"),
    "cell_timeout": Way(
        f"cell timeout: not finished after {LONG} s", options=f"cell_timeout={LONG}", seconds=LONG + GONE
    ),
    # Airflow's alarm clock rings as it would after an hour.
    "task_timeout": Way(
        "stopped by AirflowTaskTimeout: Timeout, PID: …",
        options="execution_timeout=timedelta(hours=1)",
        act=signalled(signal.SIGALRM),
    ),
    "sigterm": Way(STOPPED, act=signalled(signal.SIGTERM)),
    "marked_failed": Way(STOPPED, act=mark_failed, then=clear),
    "cleared": Way(STOPPED, act=clear),
    "task_killed": Way("process lost", act=signalled(signal.SIGKILL)),
    "supervisor_stopped": Way(STOPPED, act=signalled(signal.SIGTERM, supervisor=True)),
    "supervisor_killed": Way(STOPPED, act=signalled(signal.SIGKILL, supervisor=True)),
}
# For a run in which the scheduler is killed, and other processes at any moment.
AT_WORK = Way(STOPPED)
ENDS_MEANWHILE = Way("", "while not Path('..', 'marks', 'go').exists(): time.sleep(0.1)")
AT_ANY_MOMENT = Way("", "time.sleep(2)")


def write(home: Path, ways: Mapping[str, Way]) -> str:
    """Write the notebook that ends in these ways, and return the DAG's file with a task for each."""
    (home / "marks").mkdir()
    tiny.write(
        home / "notebooks" / "way.ipynb",
        tiny.parameters('way: str = ""\ndatabase_conn_id: str = "analytics_database"'),
        _MERGE.format(tests=str(Path(__file__).parent)),
        "## Do as told",
        _DO.format(
            deeds="\n        ".join(
                f"if way == {name!r}:\n            {way.deed}" for name, way in ways.items()
            )
        ),
        "## After",
        "print('after')",
    )
    return _DAG + "".join(f"    {_task(name, way)}\n" for name, way in ways.items())


def connections(home: Path, ways: Mapping[str, Way]) -> dict[str, str]:
    """Return the variables that give each task a database of its own, and have every step saved."""
    return {"NOTEBOOK_PIPELINE_SAVE_SECONDS": "0"} | {
        variable(f"db_{name}"): Connection(name, "sqlite", host=str(database(home, name))).to_json()
        for name in ways
    }


def database(home: Path, task: str) -> Path:
    """Return where a task's own database is."""
    return home / "output" / f"{task}.db"


def _task(name: str, way: Way) -> str:
    # Those that wait for their end go first.
    options = f"priority_weight={1 + way.waits}, {way.options}"
    given = {"way": name, "database_conn_id": f"db_{name}"}
    return f"NotebookOperator(task_id={name!r}, input_nb='way', parameters={given}, {options})"


_DAG = f"""
from datetime import timedelta

from airflow.sdk import DAG

from notebook_pipeline.airflow import NotebookOperator

retried = {{"retries": 1, "retry_delay": timedelta(seconds=1)}}
with DAG({DAG!r}, is_paused_upon_creation=False, default_args=retried):
    NotebookOperator(task_id="wrong_parameter", input_nb="way", parameters={{"wya": 1}})
"""
