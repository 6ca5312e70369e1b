"""Run the real notebooks by the real command, and kill at a moment that is certain.

A runner stops itself where a given number of cells is done and saved: an audit hook, which Python offers to
whoever observes a process, sees it save, and stops it at the next thing that it does. From there a lever
leads to moments within a cell: the database's write lock is held, a trigger lets one statement of the
transaction take minutes, or the server keeps a page back. Product and notebooks are as they are.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import loads
import psutil
import pyarrow as pa
import uvicorn
from declared import PLAYER
from starlette.requests import Request
from starlette.responses import Response
from waiting import family, left_of, until

from notebook_pipeline.connections import API, FILES, PREFIX, Connection, variable
from notebook_pipeline.contract.check_batch import stored_schema
from notebook_pipeline.storage.database import Database
from sample import players
from sample.api_server import create_app

COMMAND = str(Path(sys.executable).with_name("notebook-pipeline"))
CELLS = 8
"""Code cells of both notebooks: parameters, those given, setup, read, look, plot, merge, summary."""
MERGE = 6
"""Cells that are done when the merge begins."""

_STOPS_ITSELF = '''\
"""Stop the command `run` once, when so many cells are done and saved and none is running."""

import json, os, signal, sys, threading

armed = []


def look(event, arguments):
    if armed == [threading.get_ident()]:
        # The save is done, and this is the first that the run does after it.
        armed.append("done")
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    elif not armed and event == "os.rename" and str(arguments[1]).endswith(".ipynb"):
        with open(arguments[0]) as file:
            saved = [cell for cell in json.load(file)["cells"] if cell["cell_type"] == "code"]
        states = [cell["metadata"]["papermill"]["status"] for cell in saved]
        if states == ["completed"] * cells + ["pending"] * (len(states) - cells):
            armed.append(threading.get_ident())


if "run" in sys.orig_argv:
    cells = int(os.environ["STOP_AFTER_CELLS"])
    sys.addaudithook(look)
'''

# Counts for minutes, and holds the transaction that it is in.
_TRIGGER = """CREATE TRIGGER hold BEFORE {event} BEGIN SELECT count(*) FROM (
    WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000000000) SELECT n FROM c
); END"""
_BEFORE_COMMIT = "UPDATE OF committed_at ON pipeline_run"


class Victim(Enum):
    """The process that is killed; a kernel's supervisor, its parent, is a process of its own."""

    KERNEL = "kernel"
    RUNNER = "runner"
    EVERYTHING = "everything"


@dataclass(frozen=True)
class Moment:
    """The moment of a kill: after `cells` cells, or while the next one runs and `lever` holds it."""

    name: str
    cells: int
    lever: str = ""

    @property
    def is_committed(self) -> bool:
        return self.cells > MERGE

    def states(self, victim: Victim) -> list[str]:
        """Return what the artefact must say of each cell in the end."""
        if self.cells == CELLS:
            return ["completed"] * CELLS
        # A cell that was sent to a dead kernel is one that failed.
        at_work = self.lever or victim is Victim.KERNEL
        states = ["completed"] * self.cells + ["failed"] * bool(at_work)
        return states + ["not run"] * (CELLS - len(states))


AFTER = [
    Moment("after parameters", 2),
    Moment("after setup", 3),
    Moment("after read", 4),
    Moment("after look", MERGE),
    Moment("after merge", MERGE + 1),
    Moment("after summary", CELLS),
]
WITHIN = [
    Moment("waiting to merge", MERGE, "lock"),
    Moment("among the rows", MERGE, "rows"),
    Moment("before commit", MERGE, "commit"),
]
BETWEEN_PAGES = Moment("between two pages", 3, "page")
CLOSING = Moment("artefact closed, ledger open", CELLS, "closing")


@dataclass
class Scene:
    """A run's initial database and its parameters; `fresh` is a key that only the incoming rows have."""

    notebook: str
    parameters: dict[str, str]
    before: Path
    fresh: int
    files: Path | None = None
    served: pa.Table | None = None
    again: dict[str, str] = field(default_factory=dict)


class Server:
    """Serve the sample API; while `holds`, keep back every page but the first few."""

    def __init__(self, players: pa.Table) -> None:
        self.holds, self.asked, self.goes_on = False, threading.Event(), threading.Event()
        app = create_app(players)
        app.middleware("http")(self._keep_back)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self.socket]})

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.goes_on.set()
        self._server.should_exit = True
        self._thread.join()
        self.socket.close()

    async def _keep_back(self, request: Request, go_on: Any) -> Response:
        if self.holds and int(request.query_params.get("skip", 0)) >= 3 * int(PAGE_SIZE):
            self.asked.set()
            await asyncio.to_thread(self.goes_on.wait)
        return await go_on(request)


PAGE_SIZE = "50"


@contextmanager
def serving(scene: Scene) -> Iterator[Server | None]:
    """Serve what the scene's API has, if it has one."""
    if scene.served is None:
        yield None
    else:
        with Server(scene.served) as server:
            yield server


@dataclass
class Runs:
    """Run commands on one output folder, with temporary files in a folder of their own."""

    scene: Scene
    output: Path
    temporary: Path
    server: Server | None

    def start(self, parameters: Mapping[str, str], stop_after: int | None = None) -> subprocess.Popen[str]:
        """Start the command; it stops itself after so many cells."""
        given = {**self.scene.parameters, **parameters}
        arguments = [word for name, value in given.items() for word in ("-p", name, value)]
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith((PREFIX, "NOTEBOOK_PIPELINE_"))
        }
        return subprocess.Popen(
            [COMMAND, "run", self.scene.notebook, *arguments],
            env=inherited | self._surroundings(stop_after),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, parameters: Mapping[str, str]) -> None:
        """Run the command to its end, which must be a good one."""
        process = self.start(parameters)
        told, _ = process.communicate(timeout=120)
        assert process.returncode == 0, told

    def database(self) -> Database:
        """Open the database, not waiting for who holds it."""
        return loads.open_at_once(self.output)

    def artefact(self, path: str | None = None) -> dict[str, Any]:
        """Return an executed notebook, by default the only one."""
        [found] = [self.output / path] if path else (self.output / "runs").rglob("*.ipynb")
        return json.loads(found.read_bytes())

    def _surroundings(self, stop_after: int | None) -> dict[str, str]:
        names = {
            "NOTEBOOK_PIPELINE_OUTPUT": str(self.output),
            "NOTEBOOK_PIPELINE_TODAY": str(players.SAMPLE_TODAY),
            "TMPDIR": str(self.temporary),
            "NOTEBOOK_PIPELINE_SAVE_SECONDS": "0",
        }
        if self.scene.files:
            files = Connection(FILES, "fs", extra={"path": str(self.scene.files)})
            names[variable(FILES)] = files.to_json()
        if self.server:
            names[variable(API)] = Connection(API, "http", host=self.server.url).to_json()
        if stop_after is not None:
            (self.temporary / "sitecustomize.py").write_text(_STOPS_ITSELF)
            names |= {"PYTHONPATH": str(self.temporary), "STOP_AFTER_CELLS": str(stop_after)}
        return names


def kill(runs: Runs, moment: Moment, victim: Victim) -> int:
    """Run, kill at a moment, see that nothing lives on, and return the command's exit code."""
    process = runs.start({}, moment.cells)
    runner = psutil.Process(process.pid)
    try:
        until(lambda: runner.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE), 120)
        assert runner.status() == psutil.STATUS_STOPPED, process.communicate()[0]
        assert _states(runs) == ["completed"] * moment.cells + ["pending"] * (CELLS - moment.cells)
        everyone = family(process.pid)
        _, watch, kernel = everyone
        assert "notebook_pipeline.running.kernel_supervisor" in watch.cmdline()
        struck = {Victim.KERNEL: [kernel], Victim.RUNNER: [runner]}.get(victim, everyone)
        with _reached(runs, moment, runner, kernel):
            _strike(struck)
            # Until it is gone as well, a kernel could go on where the lever lets it.
            assert left_of([watch, kernel] if victim is Victim.KERNEL else everyone) == []
        if victim is Victim.KERNEL:
            runner.resume()
        process.communicate(timeout=60)
    finally:
        _strike(family(process.pid) if process.poll() is None else [])
    return process.returncode


def _strike(processes: Sequence[psutil.Process]) -> None:
    """Kill all at once: nobody gets to see another's end."""
    for act in (psutil.Process.suspend, psutil.Process.kill):
        for process in processes:
            if process.is_running():
                act(process)


@contextmanager
def _reached(runs: Runs, moment: Moment, runner: psutil.Process, kernel: psutil.Process) -> Iterator[None]:
    """Lead a runner that stopped to the moment within the next cell; then take the lever away again."""
    levers = {"lock": _locked, "closing": _closing, "page": _page_held}
    if moment.lever in ("rows", "commit"):
        fresh = f"INSERT ON player WHEN NEW.player_id = {runs.scene.fresh}"
        with _in_transaction(runs, runner, kernel, fresh if moment.lever == "rows" else _BEFORE_COMMIT):
            yield
    elif moment.lever:
        with levers[moment.lever](runs, runner):
            yield
    else:
        yield


@contextmanager
def _locked(runs: Runs, runner: psutil.Process) -> Iterator[None]:
    with runs.database() as database, database.transaction():
        runner.resume()
        until(lambda: _states(runs)[MERGE] == "running")
        yield


@contextmanager
def _closing(runs: Runs, runner: psutil.Process) -> Iterator[None]:
    with runs.database() as database, database.transaction():
        runner.resume()
        until(lambda: runs.artefact()["metadata"]["notebook_pipeline"]["status"] == "success")
        yield


@contextmanager
def _page_held(runs: Runs, runner: psutil.Process) -> Iterator[None]:
    assert runs.server
    runs.server.holds = True
    runner.resume()
    until(lambda: runs.server and runs.server.asked.is_set())
    until(lambda: len(list((runs.output / "landed").rglob("page-*.json.zst"))) == 3)
    yield
    runs.server.holds = False
    runs.server.goes_on.set()


@contextmanager
def _in_transaction(runs: Runs, runner: psutil.Process, kernel: psutil.Process, event: str) -> Iterator[None]:
    with runs.database() as database:
        database.execute(_TRIGGER.format(event=event))
        runner.resume()
        until(lambda: loads.is_locked(database))
        # The rest of the merge takes far less than this: it is where the trigger holds it.
        done = kernel.cpu_times().user
        until(lambda: kernel.cpu_times().user > done + 0.5)
        assert loads.is_locked(database)
        yield
        database.execute("PRAGMA busy_timeout = 60000")
        database.execute("DROP TRIGGER hold")


def _states(runs: Runs) -> list[str]:
    return states(runs.artefact())


def states(notebook: dict[str, Any]) -> list[str]:
    """Return what an artefact says of each of its code cells."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [cell["metadata"]["papermill"]["status"] for cell in code]


def stored(players: pa.Table) -> pa.RecordBatch:
    """Return players as the contract hands them on."""
    rows = [row | {"last_changed_date": str(row["last_changed_date"])} for row in players.to_pylist()]
    return pa.RecordBatch.from_pylist(rows, stored_schema(PLAYER))
