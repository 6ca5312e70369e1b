"""Run a whole Airflow with a LocalExecutor in a folder of its own, and ask and tell it over its REST API."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest
import requests
from waiting import own_port, until

from notebook_pipeline import settings
from notebook_pipeline.connections import PREFIX
from sample import make_airflow
from sample.child_processes import child
from sample.demo_environment import write_private

PASSWORD = "a-long-password-of-admin"
OPEN = {None, "scheduled", "queued", "running", "restarting", "up_for_retry"}
# Airflow asks and looks less often than it could; what is decided stays the same.
QUICK = {
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "45",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "45",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}


class LiveAirflow:
    """A running Airflow whose home, notebooks, output and temporary files are in one folder."""

    def __init__(self, home: Path, environment: Mapping[str, str], stack: ExitStack) -> None:
        self.home = home
        self.url = environment["AIRFLOW__API__BASE_URL"]
        self._environment = environment
        self._stack = stack
        self._api = requests.Session()
        self._processes: dict[str, subprocess.Popen] = {}

    def start(self, name: str, *options: str) -> None:
        """Start a component; what it says goes to a file of its name."""
        output = self._stack.enter_context((self.home / f"{name}.log").open("ab"))
        command = [sys.executable, "-m", "airflow", name, *options]
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        started = child(command, env=self._environment, cwd=self.home, **streams)
        self._processes[name] = self._stack.enter_context(started)

    def kill_scheduler(self) -> None:
        """Kill the scheduler; its workers, which supervise the tasks, live on."""
        self._processes["scheduler"].kill()
        self._processes["scheduler"].wait()

    def log_in(self) -> None:
        """Wait until the API answers, and log in."""
        user = {"username": make_airflow.USER, "password": PASSWORD}
        self._api.headers["Authorization"] = f"Bearer {until(lambda: self._token(user), 120)}"

    def get(self, path: str) -> Any:
        """Return what the REST API answers about a DAG."""
        return self._ask("GET", path, None)

    def tell(self, method: str, path: str, **body: Any) -> Any:
        """Have the REST API do something."""
        return self._ask(method, path, body)

    def knows(self, dag_id: str) -> bool:
        """Return True if the DAG's file was parsed."""
        return self._api.get(f"{self.url}/api/v2/dags/{dag_id}", timeout=30).ok

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        """Return the newest try of each task of a run (`dags/…/dagRuns/…`)."""
        return {task["task_id"]: task for task in self.get(f"{run}/taskInstances")["task_instances"]}

    def is_done(self, run: str) -> bool:
        """Return True if every task of a run has ended."""
        states = {task["state"] for task in self.tasks(run).values()}
        return bool(states) and not OPEN & states

    def tries(self, run: str, task_id: str) -> list[tuple[int, str]]:
        """Return number and state of each try, as Airflow tells them."""
        tries = self.get(f"{run}/taskInstances/{task_id}/tries")["task_instances"]
        return sorted((one["try_number"], one["state"]) for one in tries)

    def log(self, run: str, task_id: str, number: int) -> str:
        """Return the log of a try as Airflow's pages show it."""
        return json.dumps(self.get(f"{run}/taskInstances/{task_id}/logs/{number}?full_content=true"))

    def kernels(self) -> list[psutil.Process]:
        """Return every process that belongs to a notebook, whoever its parent is by now."""
        return [one for one in psutil.process_iter() if self._is_kernel(one)]

    def rests(self) -> list[Path]:
        """Return locks and temporary files, of which none outlives its run."""
        beside = [path for path in self.home.glob("output/**/*") if path.suffix in (".lock", ".tmp")]
        return [*beside, *Path(self._environment["TMPDIR"]).glob("nbp-*")]

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        return ask(self._api, method, f"{self.url}/api/v2/{path}", body)

    def _is_kernel(self, process: psutil.Process) -> bool:
        try:
            environment = process.environ()
        except psutil.Error:
            return False
        is_of_this = environment.get("NOTEBOOK_PIPELINE_HOME") == str(self.home)
        return is_of_this and "NOTEBOOK_PIPELINE_RUN_ID" in environment

    def _token(self, user: Mapping[str, str]) -> str | None:
        for name, process in self._processes.items():
            assert process.poll() is None, (self.home / f"{name}.log").read_text()[-2000:]
        try:
            answer = requests.post(f"{self.url}/auth/token", json=user, timeout=30)
        except requests.RequestException:
            return None
        return answer.json()["access_token"] if answer.ok else None


def ask(api: requests.Session, method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
    """Return what Airflow's REST API answers; ask again where its SQLite metadata were just busy."""

    def answers() -> list[requests.Response]:
        answer = api.request(method, url, json=body, timeout=30)
        return [] if answer.status_code == 500 and "Database error" in answer.text else [answer]

    [answer] = until(answers, 60, 0.5)
    assert answer.ok, answer.text
    return answer.json()


@contextmanager
def live_airflow(home: Path, dags: Mapping[str, str], variables: Mapping[str, str]) -> Iterator[LiveAirflow]:
    """Run Airflow on these DAG files until the block ends; `variables` join its components' environment."""
    airflow_home = home / "airflow"
    airflow_home.mkdir(mode=0o700)
    write_private(airflow_home / "passwords.json", json.dumps({make_airflow.USER: PASSWORD}))
    (home / "dags").mkdir()
    if not (home / "datasets").exists():
        shutil.copytree(settings.CHECKOUT / "datasets", home / "datasets")
    for name, text in dags.items():
        (home / "dags" / f"{name}.py").write_text(text)
    own = {"NOTEBOOK_PIPELINE_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags")}
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        # A short name, for sockets live in it.
        temporary = stack.enter_context(TemporaryDirectory(prefix="np-", dir="/tmp"))
        for name in [name for name in os.environ if name.startswith((PREFIX, "NOTEBOOK_PIPELINE_"))]:
            patch.delenv(name)
        patch.setenv("NOTEBOOK_PIPELINE_HOME", str(home))
        patch.setattr(make_airflow, "UI_PORT", own_port())
        environment = (
            make_airflow.live_environment(airflow_home) | QUICK | own | {"TMPDIR": temporary, **variables}
        )
        make_airflow.prepare_metadata(environment, airflow_home)
        airflow = LiveAirflow(home, environment, stack)
        airflow.start("api-server")
        airflow.start("dag-processor")
        airflow.start("scheduler", "--skip-serve-logs")
        airflow.log_in()
        yield airflow
