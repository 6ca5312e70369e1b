"""The task that decides whether an update reads everything or only what has changed."""

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING

from airflow.sdk import task

from notebook_pipeline import settings
from notebook_pipeline.airflow.connection_lookup import resolve_connection
from notebook_pipeline.airflow.task_context import task_context

if TYPE_CHECKING:
    from notebook_pipeline.storage.database import Database

_UPDATE = "api_incremental_update"


@task
def choose_full_sweep() -> bool:
    """Return True if this run is to read everything: if the form asks for it, and once a week.

    The weekly sweep is the first run of the week, which begins on Sunday (UTC). If it fails or is missed,
    the next run does it.
    """
    from notebook_pipeline.storage.connect import connect
    from notebook_pipeline.storage.tables import create_tables

    params = task_context()["params"]
    if params["full_sweep"]:
        print("Full sweep, because the form asks for it")
        return True
    with connect(resolve_connection(params["database_conn_id"])) as database:
        create_tables(database)
        due = sweep_is_due(database, params["dataset"], settings.today())
    print("Full sweep, the first of this week" if due else "No full sweep: only what has changed")
    return due


def sweep_is_due(database: "Database", dataset: str, today: date) -> bool:
    """Return True if the dataset was updated before this week's Sunday and has not been swept since."""
    sunday = today - timedelta(days=today.isoweekday() % 7)
    succeeded = "FROM pipeline_run WHERE notebook = ? AND dataset = ? AND status = 'success' AND started_at"
    values = [_UPDATE, dataset, sunday.isoformat()]
    if not database.execute(f"SELECT 1 {succeeded} < ? LIMIT 1", values):
        return False
    since = database.execute(f"SELECT parameters {succeeded} >= ?", values)
    return not any(json.loads(parameters)["full_sweep"] for (parameters,) in since)
