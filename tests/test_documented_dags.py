"""The DAGs and the notebook that the pages show work as they stand there."""

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import tiny
from airflow.dag_processing.dagbag import DagBag
from live_airflow import LiveAirflow, live_airflow
from waiting import until

from notebook_pipeline import settings

ASKED = "manual__{}"
# Stands in for a load of any dataset: what it announces is what `check_dataset` would.
PUBLISH = """
from airflow.sdk import DAG
from notebook_pipeline.airflow import CHECKED_DATASET, NotebookOperator, dag_defaults, notebook_params

with DAG("publish", is_paused_upon_creation=False, params=notebook_params("check"), **dag_defaults()):
    NotebookOperator(task_id="check", input_nb="check", outlets=[CHECKED_DATASET])
"""
CONSUME = """
from airflow.sdk import DAG
from notebook_pipeline.airflow import NotebookOperator, dag_defaults, dataset_asset

with DAG("consume", is_paused_upon_creation=False, schedule=dataset_asset("player"), **dag_defaults()):
    NotebookOperator(task_id="report", input_nb="report")
"""


def code_blocks(page: str) -> list[str]:
    """Return the Python code blocks of a page, in its order."""
    text = (settings.CHECKOUT / page).read_text()
    blocks = re.findall(r"^( *)```python\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(code) for _, code in blocks]


def test_the_dag_for_a_table_of_one_s_own_is_whole(tmp_path: Path) -> None:
    [code] = code_blocks("CONTRIBUTING.md")
    (tmp_path / "recurring_team_update.py").write_text(code)
    bag = DagBag(tmp_path)
    assert bag.import_errors == {}
    [dag] = bag.dags.values()
    assert (dag.dag_id, dag.schedule, dag.params["dataset"]) == ("recurring_team_update", "@daily", "team")
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == {
        "choose_full_sweep": {"update"},
        "update": {"check"},
        "check": {"report_run"},
        "report_run": set(),
    }
    assert {(task.owner, task.retries) for task in dag.tasks} == {("data-team", 3)}


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_notebook_of_one_s_own_runs_and_the_dataset_of_a_run_starts_its_consumers(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    parameters, cell, payback = code_blocks("docs/own_notebooks.md")
    notebooks = tmp_path / "notebooks"
    tiny.write(notebooks / "finance" / "payback.ipynb", tiny.parameters(parameters), cell)
    tiny.write(notebooks / "check.ipynb", tiny.parameters('dataset: str = "player"'))
    tiny.write(notebooks / "report.ipynb", "print('reported')")
    dags = {"payback": payback, "publish": PUBLISH, "consume": CONSUME}
    with live_airflow(tmp_path, dags, {}) as airflow:
        for dag in dags:
            until(lambda dag=dag: airflow.knows(dag), 120)
        airflow.tell("patch", "dags/payback", is_paused=False)
        for dataset in ("team", "player"):
            run(airflow, "publish", dataset)
        [consumed] = until(lambda: finished(airflow, "consume"), 120, 0.2)
        with subtests.test("each run publishes the asset of its own dataset"):
            events = airflow.get("assets/events?order_by=timestamp")["asset_events"]
            assert [(event["name"], event["source_run_id"]) for event in events] == [
                ("analytics_database/team", ASKED.format("team")),
                ("analytics_database/player", ASKED.format("player")),
            ]
        with subtests.test("only the consumer of that dataset starts"):
            [event] = airflow.get(f"dags/consume/dagRuns/{consumed}/upstreamAssetEvents")["asset_events"]
            assert event["source_run_id"] == ASKED.format("player")
        with subtests.test("the page's notebook is executed with the DAG's parameters"):
            [scheduled] = until(lambda: finished(airflow, "payback"), 120, 0.2)
            [artefact] = (tmp_path / "output/runs/payback").glob("*/compute__try1.ipynb")
            about = json.loads(artefact.read_text())["metadata"]["notebook_pipeline"]
            assert (about["dag_run_id"], about["notebook"]) == (scheduled, "finance/payback")
            assert about["parameters"] == {"price": 1200.0, "saving": 120.0}
            assert about["result"] == {"months": 10.0}


def run(airflow: LiveAirflow, dag: str, dataset: str) -> None:
    """Trigger a DAG with a dataset in its form, and wait until it has succeeded."""
    asked: dict[str, Any] = {"dag_run_id": ASKED.format(dataset), "logical_date": None}
    airflow.tell("post", f"dags/{dag}/dagRuns", **asked, conf={"dataset": dataset})
    until(lambda: asked["dag_run_id"] in finished(airflow, dag), 120, 0.2)


def finished(airflow: LiveAirflow, dag: str) -> list[str]:
    """Return the ids of a DAG's runs that have succeeded; none may have failed."""
    runs = airflow.get(f"dags/{dag}/dagRuns")["dag_runs"]
    assert "failed" not in [one["state"] for one in runs]
    return [one["dag_run_id"] for one in runs if one["state"] == "success"]
