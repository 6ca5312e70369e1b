"""Run Airflow and the sample API on loopback until Ctrl-C (`make airflow`)."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from notebook_pipeline import settings
from notebook_pipeline.connections import API, DATABASE, FILES, Connection, resolve, variable
from notebook_pipeline.errors import PipelineError, UsageError
from sample import api_server
from sample.child_processes import child, end_on_signals
from sample.demo_environment import AIRFLOW_HOME, airflow_environment, alone, write_private

UI_PORT = 8080
SAMPLE_PORT = 8000
USER = "admin"

# Stopped in reverse order: the others report to the API server until they end.
COMMANDS = {
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
}
_REPORTING = {"dag-processor", "triggerer", "scheduler"}
_START_SECONDS = 180
_BEGINS = (
    "Starting Airflow (API server, scheduler, DAG processor, triggerer) and the sample API on loopback. "
    f"This takes about half a minute, longer the first time; logs are in {AIRFLOW_HOME / 'logs'}"
)
_READY = "Everything is running. Press Ctrl-C here to stop it"

Components = Mapping[str, subprocess.Popen]


def main() -> int:
    """Start everything, print how to log in, and wait for Ctrl-C; return the exit status."""
    end_on_signals()
    try:
        print(_BEGINS, flush=True)
        with alone(AIRFLOW_HOME), running(AIRFLOW_HOME) as (lines, components):
            print(*lines, _READY, sep="\n", flush=True)
            name = _first_ended(components)
            raise PipelineError(f"{name} ended unexpectedly; see {_log(AIRFLOW_HOME, name)}")
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("\nEverything that was started has been stopped", file=sys.stderr)
        return 0


@contextmanager
def running(home: Path) -> Iterator[tuple[list[str], Components]]:
    """Run Airflow's components and the sample API until the block ends; yield lines to print, and components.

    Raises PipelineError if Airflow does not become healthy.
    """
    environment = live_environment(home)
    metadata = prepare_metadata(environment, home)
    with ExitStack() as stack:
        url = environment["AIRFLOW__API__BASE_URL"]
        lines = [f"Airflow: {url}", login(home), *start_sample(stack, metadata["urls"].get(API))]
        components = stack.enter_context(started(COMMANDS, environment, home))
        if metadata["added"]:
            lines.append(f"Connections added (see Admin > Connections): {', '.join(metadata['added'])}")
        yield lines, components


@contextmanager
def started(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], home: Path
) -> Iterator[Components]:
    """Run these Airflow commands, by name, until the block ends; yield them once they are healthy.

    Raises PipelineError if one of them is not healthy in time.
    """
    with ExitStack() as stack:
        components = {
            name: stack.enter_context(_component(name, command, environment, home))
            for name, command in commands.items()
        }
        wait_until_healthy(environment["AIRFLOW__API__BASE_URL"], components, home)
        yield components


def live_environment(home: Path) -> dict[str, str]:
    """Return the environment of Airflow's components: on loopback, with a login."""
    port = free_port(UI_PORT)
    return airflow_environment(home) | {
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(home)),
    }


def prepare_metadata(environment: Mapping[str, str], home: Path) -> dict[str, Any]:
    """Prepare Airflow's database, add the missing connections, and return the answer of
    `sample.airflow_metadata`."""
    wanted = {conn_id: json.loads(_first(conn_id).to_json()) for conn_id in (DATABASE, API, FILES)}
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "sample.airflow_metadata", str(writing)]
    options = {"env": environment, "cwd": settings.CHECKOUT, "pass_fds": [writing], "stdin": subprocess.PIPE}
    with _log_file(home, "metadata") as output, os.fdopen(reading) as answer:
        with child(command, stdout=output, stderr=subprocess.STDOUT, text=True, **options) as process:
            os.close(writing)
            process.communicate(json.dumps(wanted))
        if process.returncode:
            raise PipelineError(f"Airflow's database could not be prepared; see {output.name}")
        return json.load(answer)


def login(home: Path) -> str:
    """Return how to log in; make a password if there is none, and show it only this once."""
    path = _passwords(home)
    if path.exists():
        return f"Log in as {USER}; the password was shown when it was made, and is kept in {path}"
    password = secrets.token_urlsafe(12)
    write_private(path, json.dumps({USER: password}))
    return f"Log in as {USER} with the password {password} (shown this once; kept in {path})"


def start_sample(stack: ExitStack, url: str | None) -> list[str]:
    """Serve the sample API if the connection points to a free port of this machine; return lines to print."""
    place = urlsplit(url or "")
    if place.hostname not in ("127.0.0.1", "localhost") or not place.port:
        return []
    if free_port(place.port) != place.port:
        return [f"Sample API: not started, because the port of {url} is already in use"]
    return [f"Sample API: {stack.enter_context(api_server.running(port=place.port))}"]


def free_port(wanted: int) -> int:
    """Return this port of 127.0.0.1 if it is free, else another free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_healthy(url: str, components: Components, home: Path) -> None:
    """Wait until every component that reports its health is healthy, or raise PipelineError."""
    deadline = time.monotonic() + _START_SECONDS
    while not _is_healthy(url, components, home):
        ended = next((name for name, process in components.items() if process.poll() is not None), None)
        if ended or time.monotonic() > deadline:
            place = _log(home, ended) if ended else home / "logs"
            raise PipelineError(f"{ended or 'Airflow'} did not become healthy; see {place}")
        time.sleep(0.5)


def _is_healthy(url: str, names: Iterable[str], home: Path) -> bool:
    try:
        health = requests.get(f"{url}/api/v2/monitor/health", timeout=5).json()
        # Another Airflow may have taken the port meanwhile; only this one knows the password.
        user = {"username": USER, "password": json.loads(_passwords(home).read_text())[USER]}
        is_ours = requests.post(f"{url}/auth/token", json=user, timeout=5).ok
    except (requests.RequestException, ValueError):
        return False
    parts = ("metadatabase", *(name.replace("-", "_") for name in names if name in _REPORTING))
    return is_ours and all((health.get(part) or {}).get("status") == "healthy" for part in parts)


def _first(conn_id: str) -> Connection:
    """Return the connection to add if Airflow has none: from its variable, or else the sample's."""
    if conn_id == API and variable(API) not in os.environ:
        return Connection(API, "http", host="127.0.0.1", port=free_port(SAMPLE_PORT))
    return resolve(conn_id)


@contextmanager
def _component(
    name: str, command: Sequence[str], environment: Mapping[str, str], home: Path
) -> Iterator[subprocess.Popen]:
    options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": settings.CHECKOUT}
    with _log_file(home, name) as output:
        arguments = [sys.executable, "-m", "airflow", *command]
        with child(arguments, env=environment, stdout=output, **options) as process:
            yield process


def _first_ended(components: Components) -> str:
    while True:
        for name, process in components.items():
            if process.poll() is not None:
                return name
        time.sleep(0.5)


def _passwords(home: Path) -> Path:
    return home / "passwords.json"


def _log(home: Path, name: str) -> Path:
    return home / "logs" / f"{name}.log"


def _log_file(home: Path, name: str) -> Any:
    path = _log(home, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "w")


if __name__ == "__main__":
    sys.exit(main())
