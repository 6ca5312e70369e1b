"""No output and no result is lost, neither on a busy machine nor in Airflow tasks side by side."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny
from live_airflow import live_airflow
from waiting import until

from notebook_pipeline.running.run_notebook import run_notebook

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

SHOWS = f"""
from IPython.display import display
for number in range(10_000):
    display({{"text/plain": str(number)}}, raw=True)
{tiny.says(rows=10_000)}
"""
DAG = """
from airflow.sdk import DAG
from notebook_pipeline.airflow import NotebookOperator

with DAG("shows", is_paused_upon_creation=False):
    show = NotebookOperator.partial(task_id="show", input_nb="shows")
    show.expand(parameters=[{"number": number} for number in range(10)])
"""
RUN = "dags/shows/dagRuns/one"


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep every core busy."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def shown(artefact: Path) -> list[str]:
    """Return the texts that an executed notebook shows, in their order."""
    cells = json.loads(artefact.read_text())["cells"]
    bundles = [output["data"] for cell in cells for output in cell.get("outputs", [])]
    return ["".join(bundle["text/plain"]) for bundle in bundles if "text/plain" in bundle]


EXPECTED = [str(number) for number in range(10_000)]


@pytest.mark.parametrize("_", range(10))
def test_all_is_there_while_both_cores_are_busy(home: Path, _: int) -> None:
    tiny.write(home / "notebooks/shows.ipynb", SHOWS)
    with busy_cores():
        finished = run_notebook("shows", {})
    assert (finished.status, finished.result) == ("success", {"rows": 10_000})
    assert shown(Path(finished.address)) == EXPECTED


def test_all_is_there_of_ten_tasks_side_by_side(tmp_path: Path) -> None:
    tiny.write(tmp_path / "notebooks/shows.ipynb", tiny.parameters("number: int = 0"), SHOWS)
    with live_airflow(tmp_path, {"shows": DAG}, {}) as airflow:
        until(lambda: airflow.knows("shows"), 120)
        airflow.tell("post", "dags/shows/dagRuns", dag_run_id="one", logical_date=None)
        until(lambda: airflow.is_done(RUN), 600, 1)
        for index in range(10):
            path = f"{RUN}/taskInstances/show/xcomEntries/return_value?map_index={index}&deserialize=true"
            result = airflow.get(path)["value"]
            assert (result["status"], result["rows"]) == ("success", 10_000)
            assert shown(tmp_path / "output" / result["artifact"]) == EXPECTED
