"""The task that reports, at the end of a DAG run, what each of its tasks did."""

from collections.abc import Collection, Mapping
from typing import Any

from airflow.sdk import task
from airflow.sdk.definitions.xcom_arg import XComArg

from notebook_pipeline.airflow.connection_lookup import resolve_connection
from notebook_pipeline.airflow.task_context import task_context
from notebook_pipeline.errors import UsageError
from notebook_pipeline.number_texts import counted
from notebook_pipeline.storage.row_counts import ROW_COUNTS, short_name


def report_run() -> XComArg:
    """Return the task `report_run`, which comes last in a DAG.

    It runs after failures, too. As a teardown it does not affect the state of the DAG run: an ordinary task
    that succeeds at the end would turn a failed run into a successful one.
    """
    report = _report_run()
    report.as_teardown()
    return report


@task(task_id="report_run")
def _report_run() -> None:
    """Print what each task of the DAG run did, and add the new runs to the review pages."""
    context = task_context()
    run = context["ti"]
    states = run.get_task_states(run.dag_id, run_ids=[run.run_id])[run.run_id]
    print(f"{run.dag_id}, run {run.run_id}")
    for name, state in states.items():
        if name != run.task_id:
            task_id, map_index = task_of(name, context["dag"].task_ids)
            result = run.xcom_pull(task_ids=task_id, map_indexes=map_index)
            print(f"  {name}: {state or 'not run'}{describe(result)}")
    write_review(context["params"]["database_conn_id"])


def task_of(name: str, task_ids: Collection[str]) -> tuple[str, int]:
    """Return the task id and the map index (-1: not mapped) of a name among Airflow's task states."""
    if name in task_ids:
        return name, -1
    task_id, _, map_index = name.rpartition("_")
    return task_id, int(map_index)


def write_review(database_conn_id: str) -> None:
    """Write new pages to `<output>/review`, or print why nothing can be written yet."""
    from notebook_pipeline.review.pages import write_pages

    try:
        written = write_pages(connection=resolve_connection(database_conn_id))
        print(f"Pages of {counted(written.runs, 'run')}: {written.index}")
    except UsageError as error:
        print(f"No pages were written: {error}")


def describe(result: Any) -> str:
    """Return a notebook's result as text, or an empty text for the result of another kind of task."""
    if not isinstance(result, Mapping) or "artifact" not in result:
        return ""
    counts = [f"{short_name(name)} {result[name]:,}" for name in ROW_COUNTS if name in result]
    verdict = f"checks {result['verdict']}" if "verdict" in result else ""
    checks = [f"{kind}: {', '.join(result[kind])}" for kind in ("failed", "warnings") if result.get(kind)]
    parts = [", ".join(counts), verdict, *checks, result.get("error"), f"see {result['artifact']}"]
    return "; ".join(["", *filter(None, parts)])
