"""House rules for DAGs; the message of a failed test says how to fix it."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator

from notebook_pipeline import settings
from notebook_pipeline.airflow import CHECKED_DATASET, NotebookOperator
from notebook_pipeline.running.parameters import Parameter, check_parameters
from notebook_pipeline.running.parameters_cell import read_parameters

FOLDER = settings.CHECKOUT / "dags"
BULK, RECURRING = "bulk_player_file_load", "recurring_player_api_insert_update_dag"
REPORT = "player_report"
FILES = sorted(FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(FOLDER)


@pytest.fixture(params=[BULK, RECURRING, REPORT])
def dag(bag: DagBag, request: pytest.FixtureRequest) -> DAG:
    return bag.dags[request.param]


@pytest.fixture(params=[BULK, RECURRING])
def loading(bag: DagBag, request: pytest.FixtureRequest) -> DAG:
    """Return a DAG that writes the table."""
    return bag.dags[request.param]


@dataclass(frozen=True)
class NotebookTask:
    """Hold what a task runs, alone or once for each of what it is mapped over."""

    task_id: str
    input_nb: str
    parameters: Mapping[str, Any] | None


def declared(task: NotebookTask) -> list[Parameter]:
    return read_parameters(settings.notebooks() / f"{task.input_nb}.ipynb") or []


def notebook_tasks(dag: DAG) -> list[NotebookTask]:
    return [found for task in dag.tasks if (found := notebook_task(task))]


def notebook_task(task: Any) -> NotebookTask | None:
    if isinstance(task, NotebookOperator):
        return NotebookTask(task.task_id, str(task.input_nb), task.parameters)
    if isinstance(task, MappedOperator) and task.operator_class is NotebookOperator:
        return NotebookTask(
            task.task_id, task.partial_kwargs["input_nb"], task.partial_kwargs.get("parameters")
        )
    return None


def test_every_file_holds_the_one_dag_of_its_name(bag: DagBag) -> None:
    assert bag.import_errors == {}, "fix these files: Airflow cannot read them"
    found = {Path(dag.fileloc).stem: dag_id for dag_id, dag in bag.dags.items()}
    assert found == {dag_id: dag_id for dag_id in (BULK, RECURRING, REPORT)}, (
        "give each file one DAG of the file's name"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_imports_airflow_and_its_operators_only(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    others = imported - {"airflow.sdk", "notebook_pipeline.airflow"}
    assert not others, f"{path.name}: move what needs {others} into notebook_pipeline.airflow"


def test_whoever_is_on_call_is_told_what_to_do(dag: DAG) -> None:
    text = dag.doc_md or ""
    assert dag.description, f"{dag.dag_id}: give it a description of one line"
    for needed in ("**Reads**", "**Writes**", "run again"):
        assert needed in text, f"{dag.dag_id}: its docstring (doc_md=__doc__) does not say: {needed}"
    for task in (*notebook_tasks(dag), *(task for task in dag.tasks if task.task_id == "check_api")):
        assert f"`{task.task_id}` fails" in text, f"{dag.dag_id}: say what to do when `{task.task_id}` fails"


def test_a_dag_is_found_by_its_tags_and_has_an_owner(dag: DAG) -> None:
    assert {"player", "notebook"} <= set(dag.tags), f"{dag.dag_id}: tag it with its dataset and `notebook`"
    assert {task.owner for task in dag.tasks} == {"data-team"}, f"{dag.dag_id}: use dag_defaults()"


def test_runs_do_not_pile_up(dag: DAG) -> None:
    assert dag.catchup is False, f"{dag.dag_id}: the watermark catches up, so set catchup=False"
    assert dag.max_active_runs == 1, f"{dag.dag_id}: one writer at a time, so set max_active_runs=1"


def test_every_task_is_retried_with_growing_but_bounded_waits(dag: DAG) -> None:
    task: Any
    for task in dag.tasks:
        place = f"{dag.dag_id}.{task.task_id}"
        assert task.retries >= 2, f"{place}: use dag_defaults()"
        assert task.retry_exponential_backoff > 1, f"{place}: let retry_exponential_backoff grow the waits"
        assert task.max_retry_delay, f"{place}: bound the waits with max_retry_delay"
        assert task.max_retry_delay <= timedelta(minutes=30), f"{place}: wait for at most 30 minutes"
        assert task.execution_timeout, f"{place}: use dag_defaults()"


def test_notebooks_are_given_what_they_declare(dag: DAG) -> None:
    for task in notebook_tasks(dag):
        place = f"{dag.dag_id}.{task.task_id}"
        unknown = set(task.parameters or {}) - {parameter.name for parameter in declared(task)}
        assert not unknown, f"{place}: {task.input_nb} declares no {unknown} in its parameters cell"


def test_every_field_of_the_form_reaches_a_notebook_that_accepts_it(dag: DAG) -> None:
    form = dict(dag.params)
    reached: set[str] = set()
    for task in notebook_tasks(dag):
        names = {parameter.name for parameter in declared(task)} & form.keys()
        check_parameters(declared(task), {name: form[name] for name in names})
        reached |= names
    assert reached == form.keys(), f"{dag.dag_id}: no notebook declares {form.keys() - reached}; drop it"


def test_the_form_is_the_parameters_cell(bag: DagBag) -> None:
    notebooks = {BULK: "bulk_load", RECURRING: "api_incremental_update", REPORT: "explore_players"}
    for dag_id, notebook in notebooks.items():
        cell = read_parameters(settings.notebooks() / f"{notebook}.ipynb") or []
        params = bag.dags[dag_id].params
        shown = [(name, params[name], params.get_param(name).description) for name in params]
        assert shown == [(parameter.name, parameter.default, parameter.help) for parameter in cell]


def graph(dag: DAG) -> dict[str, set[str]]:
    return {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}


def test_checks_follow_the_load_and_a_report_follows_all(bag: DagBag) -> None:
    assert graph(bag.dags[BULK]) == {
        "plan_bulk_load": {"load"},
        "load": {"check"},
        "check": {"report_run"},
        "report_run": set(),
    }
    assert graph(bag.dags[RECURRING]) == {
        "check_api": {"choose_full_sweep"},
        "choose_full_sweep": {"update"},
        "update": {"check"},
        "check": {"report_run"},
        "report_run": set(),
    }


def test_the_report_never_decides_the_state_of_a_run(loading: DAG) -> None:
    report: Any = loading.get_task("report_run")
    assert report.is_teardown, (
        "make it with report_run(): the success of an ordinary task would hide a failure"
    )
    assert not report.on_failure_fail_dagrun


def test_only_passed_checks_publish_the_table(loading: DAG) -> None:
    published = {task.task_id: list(task.outlets) for task in loading.tasks if task.outlets}
    assert published == {"check": [CHECKED_DATASET]}


def test_the_checks_are_told_which_load_to_check(bag: DagBag) -> None:
    told = {
        BULK: "{{ ti.xcom_pull(['load']) | map(attribute='run_id') | join(' ') }}",
        RECURRING: "{{ ti.xcom_pull(['update']) | map(attribute='run_id') | join(' ') }}",
    }
    for dag_id, run_ids in told.items():
        task: Any = bag.dags[dag_id].get_task("check")
        assert task.parameters == {"run_id": run_ids}


def test_each_group_of_files_has_a_load_of_its_own(bag: DagBag) -> None:
    load: Any = bag.dags[BULK].get_task("load")
    mapped_over = load.expand_input.value
    assert mapped_over.keys() == {"parameters"}
    assert mapped_over["parameters"].operator.task_id == "plan_bulk_load"


def test_a_source_out_of_the_form_is_no_template(bag: DagBag) -> None:
    asked_for = {"source": "{{ conn.analytics_database.password }}-{{ 6 * 7 }}.parquet"}
    task = SimpleNamespace(
        map_index=0, _upstream_map_indexes={}, dag_id=BULK, xcom_pull=lambda **_: [asked_for]
    )
    context: dict[str, Any] = {"ti": task, "dag": bag.dags[BULK], "dag_run": SimpleNamespace(conf={})}
    load: Any = bag.dags[BULK].get_task("load")
    load.render_template_fields(context)
    assert context["task"].parameters == asked_for


def test_airflow_logs_no_address_whole(bag: DagBag) -> None:
    plan: Any = bag.dags[BULK].get_task("plan_bulk_load")
    assert plan.show_return_value_in_logs is False


def test_the_report_waits_for_verified_data(bag: DagBag) -> None:
    schedule: Any = bag.dags[REPORT].schedule
    assert schedule.name == "analytics_database/player"


def test_bulk_runs_on_demand_and_the_update_daily(bag: DagBag) -> None:
    assert bag.dags[BULK].schedule is None
    assert bag.dags[RECURRING].schedule == "@daily"
