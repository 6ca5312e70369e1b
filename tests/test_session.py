"""Notebooks that people run cell by cell, with real kernels: each run has its row, and none stays open."""

import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bulk_data
import nbformat
import pytest
from declared import PLAYER
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, FILES, resolve, variable
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.running.mime_types import RUN_ID
from notebook_pipeline.steps import session
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_table, create_tables

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "bulk_load.ipynb"
SECRET = "p4ssw0rd-of-files"


class Kernel:
    """Run the cells of a notebook, and code, in one kernel."""

    def __init__(self, client: NotebookClient) -> None:
        self.client = client
        self.cells = [cell for cell in client.nb.cells if cell.cell_type == "code"]

    def run(self, cell: Any) -> list[Any]:
        """Run a cell of the notebook by its number, or code; return its outputs."""
        number = len(self.client.nb.cells)
        self.client.nb.cells.append(
            nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else self.cells[cell].copy()
        )
        return self.client.execute_cell(self.client.nb.cells[number], number)["outputs"]

    def kill(self) -> None:
        """Kill the kernel as the system does when memory runs out."""
        assert self.client.km
        self.client.km.provisioner.process.send_signal(signal.SIGKILL)  # type: ignore[union-attr]
        self.client.km.provisioner.process.wait()  # type: ignore[union-attr]


@contextmanager
def kernel() -> Iterator[Kernel]:
    # No socket that another process may take, and time enough to end in good order.
    with tempfile.TemporaryDirectory(prefix="np-", dir="/tmp") as folder:
        own = {"transport": "ipc", "connection_file": f"{folder}/k.json", "shutdown_wait_time": 60}
        config = Config(KernelManager=own)
        client = NotebookClient(nbformat.read(NOTEBOOK, 4), kernel_name="python3", timeout=120, config=config)
        with client.setup_kernel():
            yield Kernel(client)


@pytest.fixture
def database(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Return the database of a home that has the bulk notebook and a file of three players."""
    (home / "notebooks" / NOTEBOOK.name).write_bytes(NOTEBOOK.read_bytes())
    (home / "data").mkdir()
    rows = [bulk_data.player(number) for number in (1, 2, 3)]
    (home / "data" / "players.parquet").write_bytes(bulk_data.parquet_bytes(rows))
    folder = f'{{"conn_type": "fs", "password": "{SECRET}", "extra": {{"path": "{home / "data"}"}}}}'
    monkeypatch.setenv(variable(FILES), folder)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", bulk_data.TODAY.isoformat())
    with connect(resolve(DATABASE)) as database:
        create_tables(database)
        create_table(database, PLAYER)
        yield database


def runs(database: Database) -> list[tuple]:
    return database.execute(
        "SELECT dag_id, task_id, status, error, rows_read, rows_inserted, rows_unchanged FROM pipeline_run "
        "ORDER BY run_id"
    )


def locks() -> list[str]:
    return [path.name for path in settings.output().rglob("*.lock")]


def test_every_cell_can_be_run_twice_and_the_whole_again(database: Database) -> None:
    with kernel() as notebook:
        for number in range(len(notebook.cells)):
            notebook.run(number)
            notebook.run(number)
        assert locks() == []
        again = ("manual", "bulk_load", "failed", "started again before it was finished", None, None, None)
        done = ("manual", "bulk_load", "success", None, 3, 3, 0)
        assert runs(database) == [again, done]
        for number in range(len(notebook.cells)):
            notebook.run(number)
        assert runs(database) == [again, done, ("manual", "bulk_load", "success", None, 0, 0, 0)]
        assert database.execute("SELECT player_id FROM player") == [(1,), (2,), (3,)]


def test_a_cell_that_raises_closes_the_run_and_nothing_is_committed_after_it(database: Database) -> None:
    with kernel() as notebook:
        for number in range(3):
            notebook.run(number)
        with pytest.raises(CellExecutionError, match="no such thing"):
            notebook.run(f"raise ValueError('no such thing as {SECRET}')")
        assert [run[2:4] for run in runs(database)] == [("failed", "ValueError: no such thing as ***")]
        assert locks() == []
        merge = next(n for n, cell in enumerate(notebook.cells) if "steps.transaction" in cell.source)
        with pytest.raises(CellExecutionError, match=r"no longer `running`.*nothing was committed"):
            notebook.run(merge)
        assert database.execute("SELECT count(*) FROM player") == [(0,)]
        for number in range(len(notebook.cells)):
            notebook.run(number)
        assert [run[2] for run in runs(database)] == ["failed", "success"]
        assert database.execute("SELECT count(*) FROM player") == [(3,)]


def test_a_kernel_that_is_killed_leaves_a_row_that_the_next_settles(database: Database) -> None:
    with kernel() as notebook:
        for number in range(2):
            notebook.run(number)
        notebook.run("run.database.execute('BEGIN IMMEDIATE')")
        assert [run[2] for run in runs(database)] == ["running"]
        assert len(locks()) == 1
        assert ledger.settle_lost(database, settings.output()) == []
        notebook.kill()
    with kernel() as notebook:
        for number in range(2):
            notebook.run(number)
        assert [run[2:4] for run in runs(database)] == [("failed", "process lost"), ("running", None)]
    # This one was shut down in good order.
    shut = ("failed", "the kernel was shut down before the run was finished")
    assert [run[2:4] for run in runs(database)] == [("failed", "process lost"), shut]
    assert locks() == []


def test_what_a_killed_runner_left_is_settled_in_its_artefact_too(database: Database) -> None:
    key = "runs/d/dr/t__try1.ipynb"
    about: dict[str, Any] = {"dag_id": "d", "dag_run_id": "dr", "task_id": "t", "notebook": "n"}
    ledger.start_run(database, run_id="r", notebook_sha256="0", parameters={}, artifact=key, **about)
    artefact = settings.output() / key
    artefact.parent.mkdir(parents=True)
    artefact.write_text('{"cells": [], "metadata": {"notebook_pipeline": {"status": "running"}}}')
    session.join_run("bulk_load", {"database_conn_id": ""}).finish({})
    assert sorted(run[2:4] for run in runs(database)) == [("failed", "process lost"), ("success", None)]
    told = json.loads(artefact.read_text())["metadata"]["notebook_pipeline"]
    assert (told["status"], told["error"]) == ("failed", "process lost")


def test_under_the_runner_the_run_is_the_runners(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.start_run(
        database,
        run_id="r",
        dag_id="d",
        dag_run_id="dr",
        task_id="t",
        notebook="bulk_load",
        notebook_sha256="0",
        parameters={"dataset": "player"},
        artifact="runs/d/dr/t__try1.ipynb",
    )
    monkeypatch.setenv(RUN_ID, "r")
    run = session.join_run("bulk_load", {"source": "other.csv"})
    assert (run.run_id, run.dataset.name, run.parameters["source"]) == ("r", "player", "other.csv")
    assert not run.is_open_by_hand
    run.finish({})
    run.fail("the cell failed")
    assert [row[2] for row in runs(database)] == ["running"]
    ledger.finish_run(database, "r", "failed", "process lost")
    with pytest.raises(
        PipelineError, match=r"run r has already ended as failed \(process lost\); start another"
    ):
        session.join_run("bulk_load", {})
    monkeypatch.setenv(RUN_ID, "unknown")
    with pytest.raises(UsageError, match="no run 'unknown'"):
        session.join_run("bulk_load", {})


def test_parameters_of_the_wrong_kind_begin_no_run(database: Database) -> None:
    with pytest.raises(UsageError, match="parameter source holds a secret of a connection"):
        session.join_run("bulk_load", {"source": f"{SECRET}.csv"})
    with pytest.raises(UsageError, match="parameter force is 'yes'"):
        session.join_run("bulk_load", {"force": "yes"})
    assert runs(database) == []


def test_a_result_is_shown_as_a_table(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(session, "display", lambda bundle, raw: shown.append((bundle, raw)))
    result = {"rows": 1234567, "passed": True, "watermark": None, "failed": [], "names": ["a", "b"]}
    session.Session("r", {}, None, None).show(result)  # type: ignore[arg-type]
    [(bundle, raw)] = shown
    assert raw
    assert bundle[session.RESULT] == result
    assert [line.split() for line in bundle["text/plain"].splitlines()] == [
        ["rows", "1,234,567"],
        ["passed", "yes"],
        ["watermark", "—"],
        ["failed", "—"],
        ["names", "a,", "b"],
    ]
    assert "<td>1,234,567</td>" in bundle["text/html"]
