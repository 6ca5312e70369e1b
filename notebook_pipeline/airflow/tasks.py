"""The TaskFlow steps around the notebooks: who loads what, when to sweep, and what a run did."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import get_current_context, task
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from notebook_pipeline import settings
from notebook_pipeline.airflow.connection_lookup import resolve_connection
from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.running.parameters import refuse_secret_address

if TYPE_CHECKING:
    from notebook_pipeline.storage.database import Database

_UPDATE = "api_incremental_update"
_COUNTS = ("read", "inserted", "updated", "unchanged", "stale", "rejected", "deleted")


# Airflow's line would show addresses whole; this prints them without what may be secret in them.
@task(show_return_value_in_logs=False)
def plan_bulk_load() -> list[dict[str, str]]:
    """Give each `load` task its files: to one task all of them, or to each task slot a group of them.

    SQLite has one writer, so that several tasks would only wait for each other.
    """
    from notebook_pipeline.running.connection_parameters import connection_of
    from notebook_pipeline.sources.files.locations import shown

    params = _context()["params"]
    try:
        refuse_secret_address("source", params["source"])
    except UsageError as error:
        raise AirflowFailException(str(error)) from None
    database = resolve_connection(params["database_conn_id"])
    at_most = 1 if database.conn_type == "sqlite" else conf.getint("core", "parallelism")
    files = resolve_connection(connection_of("file_conn_id", params))
    sources = bulk_sources(params["source"], files, at_most)
    for number, source in enumerate(sources):
        print(f"load {number} of {len(sources)}: {shown(source)}")
    return [{"source": source} for source in sources]


def bulk_sources(source: str, files: Connection, at_most: int) -> Sequence[str]:
    """Return sources that name the files of one, for at most so many tasks.

    Where they cannot be listed there is one, so that an executed notebook tells what is wrong with it.
    """
    from notebook_pipeline.sources.files.locations import groups
    from notebook_pipeline.steps.extract import REPLAY

    if at_most < 2 or source.startswith(REPLAY):
        return [source]
    try:
        return groups(source, files, at_most)
    except PipelineError as error:
        print(f"One task loads it all: {error}")
        return [source]


@task
def choose_full_sweep() -> bool:
    """Say whether this run reads everything: when the form asks for it, and once a week.

    The first run from Sunday (UTC) on does it; when that failed or never took place, the next one.
    """
    from notebook_pipeline.storage.connect import connect
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
    succeeded = "FROM pipeline_run WHERE notebook = ? AND dataset = ? AND status = 'success' AND started_at"
    values = [_UPDATE, dataset, sunday.isoformat()]
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
    for name, state in states.items():
        if name != run.task_id:
            task_id, map_index = task_of(name, context["dag"].task_ids)
            result = run.xcom_pull(task_ids=task_id, map_indexes=map_index)
            print(f"  {name}: {state or 'not run'}{describe(result)}")
    write_review(context["params"]["database_conn_id"])


def task_of(name: str, task_ids: Collection[str]) -> tuple[str, int]:
    """Return the task and the map index (-1: not mapped) of a name that Airflow tells states by."""
    if name in task_ids:
        return name, -1
    task_id, _, map_index = name.rpartition("_")
    return task_id, int(map_index)


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
