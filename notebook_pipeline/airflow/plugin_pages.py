"""The pages inside Airflow: executed notebooks and the ledger, for users who may read the task's log."""

import logging
from dataclasses import replace
from functools import cache
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response

from notebook_pipeline.airflow import access, page_frame, selection
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.outputs.file_names import safe_file_name
from notebook_pipeline.outputs.output_store import open_output
from notebook_pipeline.review import queries
from notebook_pipeline.review.artefact_reader import artefact_key, read_artefact, read_notebook
from notebook_pipeline.review.difference import compare, review
from notebook_pipeline.review.notebook_html import render_cells
from notebook_pipeline.review.queries import NoLedgerError, Run
from notebook_pipeline.review.wording import missing, status
from notebook_pipeline.storage.database import Database

_ON_A_PAGE = 50
_log = logging.getLogger(__name__)

ReadsLog = Depends(requires_access_dag("GET", DagAccessEntity.TASK_LOGS))
Theme = Annotated[str, Query(pattern="^(light|dark)?$")]


@cache
def pages(prefix: str) -> FastAPI:
    """Return the application, which Airflow serves below the prefix.

    Every route needs a logged-in user; a route of a DAG needs one who may read its logs.
    """
    app = FastAPI(
        title="Notebook runs",
        dependencies=[Depends(get_user)],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.prefix = prefix
    app.add_exception_handler(PipelineError, _missing)
    app.add_exception_handler(access.UnreachableError, _unreachable)
    app.get("/runs", name="runs")(show_runs)
    app.get("/outer.js", name="script")(page_frame.script)
    for path, route in (
        ("task", show_task),
        ("task/state", show_task_state),
        ("runs/{run_id}", show_run),
        ("runs/{run_id}/state", show_run_state),
        ("runs/{run_id}/notebook.html", show_notebook),
        ("runs/{run_id}/difference.html", show_difference),
        ("runs/{run_id}/notebook.ipynb", download_notebook),
    ):
        app.get(f"/dags/{{dag_id}}/{path}", name=route.__name__, dependencies=[ReadsLog])(route)
    return app


def show_runs(
    request: Request,
    user: GetUserDep,
    notebook: str = "",
    dataset: str = "",
    status: str = "",
    days: str = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Response:
    """Show the runs of the DAGs whose logs the user may read."""
    filters = {"notebook": notebook, "dataset": dataset, "status": status, "days": days}
    wanted = queries.Filters(notebook, dataset, status, selection.days(days))
    try:
        with access.open_ledger() as database:
            values = _page_of_ledger(database, user, wanted, page)
    except NoLedgerError:
        values = {"runs": [], "total": 0, "choices": {}, "last_page": 0}
    return page_frame.outer(request, "runs.html", filters=filters, page=page, **values)


def _page_of_ledger(database: Database, user: object, wanted: queries.Filters, page: int) -> dict[str, Any]:
    readable = access.readable_dags(user, queries.distinct(database, "dag_id"))
    filters = replace(wanted, dag_ids=readable)
    total = queries.count_runs(database, filters)
    seen = queries.Filters(dag_ids=readable)
    choices = {name: queries.distinct(database, name, seen) for name in ("notebook", "dataset")}
    return {
        "runs": queries.list_runs(database, filters, limit=_ON_A_PAGE, offset=(page - 1) * _ON_A_PAGE),
        "total": total,
        "choices": {**choices, "status": queries.STATUSES},
        "last_page": -(-total // _ON_A_PAGE),
    }


def show_task(
    request: Request,
    dag_id: str,
    dag_run_id: str,
    task_id: str,
    map_index: str = "",
    try_number: str = "",
    view: str = "notebook",
) -> Response:
    """Show the notebook of one try of a task, with links to its other tries and map indexes."""
    try:
        with access.open_ledger() as database:
            runs = queries.task_runs(database, dag_id, dag_run_id, task_id)
            chosen = selection.select(runs, map_index, try_number)
            values = _about(database, chosen.run)
    except NoLedgerError:
        chosen, values = selection.Selection(None, [], []), _about(None, None)
    query = {"dag_run_id": dag_run_id, "task_id": task_id, "map_index": map_index, "try_number": try_number}
    state = page_frame.Address(request).page("show_task_state", query, dag_id=dag_id)
    return page_frame.outer(request, "task.html", selection=chosen, view=view, state=state, **values)


def show_task_state(
    dag_id: str, dag_run_id: str, task_id: str, map_index: str = "", try_number: str = ""
) -> dict[str, object]:
    """Return a summary of what a task's page shows; the page reloads when it changes."""
    try:
        with access.open_ledger() as database:
            runs = queries.task_runs(database, dag_id, dag_run_id, task_id)
    except NoLedgerError:
        runs = []
    chosen = selection.select(runs, map_index, try_number)
    return _state(chosen.run, [run["run_id"] for run in chosen.tries])


def show_run(request: Request, dag_id: str, run_id: str, view: str = "notebook") -> Response:
    """Show the notebook of one run in the ledger."""
    with access.open_ledger() as database:
        run = _find(database, dag_id, run_id)
        values = _about(database, run)
    chosen = selection.Selection(run, [run], [run["map_index"]])
    state = page_frame.Address(request).of_run("show_run_state", run)
    return page_frame.outer(request, "task.html", selection=chosen, view=view, state=state, **values)


def show_run_state(dag_id: str, run_id: str) -> dict[str, object]:
    """Return a summary of what a run's page shows."""
    with access.open_ledger() as database:
        run = _find(database, dag_id, run_id)
    return _state(run, [run_id])


def show_notebook(dag_id: str, run_id: str, theme: Theme = "") -> Response:
    """Show an executed notebook, or the part executed so far while it runs."""
    with access.open_ledger() as database:
        run = _find(database, dag_id, run_id)
    notebook = read_notebook(open_output(), run)
    cells = render_cells(notebook) if notebook else None
    return page_frame.inner("notebook.html", theme, cells=cells, missing=missing(run))


def show_difference(dag_id: str, run_id: str, theme: Theme = "") -> Response:
    """Show the difference between a run and the previous run of the same task."""
    with access.open_ledger() as database:
        run = _find(database, dag_id, run_id)
        before = queries.previous_run(database, run, queries.SAME_TASK)
        if not before:
            raise PipelineError(f"run {run_id} is the first of its task")
        output = open_output()
        found = compare(review(database, output, before), review(database, output, run))
    return page_frame.inner("difference.html", theme, found=found)


def download_notebook(dag_id: str, run_id: str) -> Response:
    """Send an executed notebook as it was saved."""
    with access.open_ledger() as database:
        run = _find(database, dag_id, run_id)
    content = read_artefact(open_output(), run)
    if content is None:
        raise PipelineError(f"run {run_id} has no artefact")
    return page_frame.download(content, f"{safe_file_name(run['task_id'])}__{safe_file_name(run_id)}.ipynb")


def _missing(request: Request, error: Exception) -> Response:
    """Return the same answer for every error, so as not to reveal which files and runs exist."""
    return JSONResponse({"detail": "no such run or notebook"}, status_code=404)


def _unreachable(request: Request, error: Exception) -> Response:
    """Log the cause, and answer only that the log has it."""
    _log.error("%s: the ledger cannot be read: %s", request.url.path, error)
    detail = "the analytics database cannot be read at present; see the log of the API server"
    return JSONResponse({"detail": detail}, status_code=503)


def _find(database: Database, dag_id: str, run_id: str) -> Run:
    """Return a run by its whole id; raise PipelineError if it does not belong to this DAG."""
    run = queries.find_run(database, run_id)
    if (run["run_id"], run["dag_id"]) != (run_id, dag_id):
        raise PipelineError(f"run {run_id} is not of DAG {dag_id}")
    return run


def _about(database: Database | None, run: Run | None) -> dict[str, object]:
    """Return the values that an outer page shows about a run."""
    if not database or not run:
        return {"run": None, "before": None, "checks": []}
    return {
        "run": run,
        "before": queries.previous_run(database, run, queries.SAME_TASK),
        "checks": queries.read_checks(database, run["run_id"]),
    }


def _state(run: Run | None, tries: list[str]) -> dict[str, object]:
    """Return what a page polls: `page` changes with the run and its tries, `notebook` with its cells."""
    if not run:
        return {"page": tries, "notebook": None, "running": False}
    now = status(run)
    output = open_output()
    key = artefact_key(output, run)
    return {
        "page": [*tries, run["run_id"], now],
        "notebook": output.stamp(key) if key else None,
        "running": now == "running",
    }
