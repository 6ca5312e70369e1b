"""The TaskFlow steps around the notebooks: when to sweep everything, and what a run did."""

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import get_current_context, task

from notebook_pipeline import settings
from notebook_pipeline.airflow.hook import resolve_connection
from notebook_pipeline.errors import UsageError

if TYPE_CHECKING:
    from notebook_pipeline.storage.database import Database

_UPDATE = "api_incremental_update"
_COUNTS = ("read", "inserted", "updated", "unchanged", "stale", "rejected", "deleted")


@task
def choose_full_sweep() -> bool:
    """Say whether this run reads everything: when the form asks for it, and once a week.

    The first run from Sunday (UTC) on does it; when that failed or never took place, the next one.
    """
    from notebook_pipeline.storage.database import connect
    from notebook_pipeline.storage.tables import create_tables

    params = _context()["params"]
    if params["full_sweep"]:
        print("Full sweep, because the form asks for it")
        return True
    with connect(resolve_connection(params["database_conn_id"])) as database:
        create_tables(database)
        due = sweep_is_due(database, params["dataset"], settings.today())
    print("Full sweep, the first of this week" if due else "No full sweep: only what has changed")
    return due


def sweep_is_due(database: "Database", dataset: str, today: date) -> bool:
    """Say whether a source that was read before this week's Sunday has not been swept since."""
    sunday = today - timedelta(days=today.isoweekday() % 7)
    succeeded = "FROM pipeline_run WHERE notebook = ? AND dataset = ? AND status = 'success' AND run_id"
    # A run's id begins with its day.
    values = [_UPDATE, dataset, f"{sunday:%Y%m%d}"]
    if not database.execute(f"SELECT 1 {succeeded} < ? LIMIT 1", values):
        return False
    since = database.execute(f"SELECT parameters {succeeded} >= ?", values)
    return not any(json.loads(parameters)["full_sweep"] for (parameters,) in since)


@task
def report_run() -> None:
    """Print what each task of the run did, also after failures, and bring the review pages up to date."""
    context = _context()
    run = context["ti"]
    states = run.get_task_states(run.dag_id, run_ids=[run.run_id])[run.run_id]
    print(f"{run.dag_id}, run {run.run_id}")
    for task_id, state in states.items():
        if task_id != run.task_id:
            result = run.xcom_pull(task_ids=task_id)
            print(f"  {task_id}: {state or 'not run'}{describe(result)}")
    write_review(context["params"]["database_conn_id"])


def write_review(database_conn_id: str) -> None:
    """Write what is new to `<output>/review`, or say why there is nothing to write yet."""
    from notebook_pipeline.review.pages import write_pages

    try:
        written = write_pages(connection=resolve_connection(database_conn_id))
        print(f"All {written.runs:,} runs as pages: {written.index}")
    except UsageError as error:
        print(f"No pages were written: {error}")


def _context() -> dict[str, Any]:
    return cast("dict[str, Any]", get_current_context())


def describe(result: Any) -> str:
    """Return a notebook's result in words, or nothing for the result of another kind of task."""
    if not isinstance(result, Mapping) or "artifact" not in result:
        return ""
    counts = [f"{name} {result[key]:,}" for name in _COUNTS if (key := f"rows_{name}") in result]
    verdict = f"checks {result['verdict']}" if "verdict" in result else ""
    checks = [f"{kind}: {', '.join(result[kind])}" for kind in ("failed", "warnings") if result.get(kind)]
    parts = [", ".join(counts), verdict, *checks, result.get("error"), f"see {result['artifact']}"]
    return "; ".join(["", *filter(None, parts)])
