"""Turn a notebook and its parameters into one versioned, honest artefact and one row of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notebook_pipeline import ledger, settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.outputs.output import Output, open_output
from notebook_pipeline.running import provenance
from notebook_pipeline.running.artefacts import Identity, new_key, refresh_latest, settle_lost
from notebook_pipeline.running.background import Say, Stop, do
from notebook_pipeline.running.execution import Execution
from notebook_pipeline.running.imports import imports_of
from notebook_pipeline.running.kernel import Kernel, environment
from notebook_pipeline.running.plan import Limits, Plan, find_notebook, make_plan
from notebook_pipeline.running.record import LastWord
from notebook_pipeline.storage.database import Database, connect
from notebook_pipeline.storage.tables import create_tables

_TIMES_AND_PLACES = ("started_at", "committed_at", "watermark_before", "watermark_after")

__all__ = ["Finished", "Identity", "Stop", "find_notebook", "run_notebook"]


@dataclass(frozen=True)
class Finished:
    """Say how a run ended; `rows` holds the counts that it has, by the ledger's names.

    `artifact` is relative to the output, as in the ledger; `address` is where that lies.
    """

    run_id: str
    status: str
    artifact: str
    address: str
    result: dict[str, Any] | None
    error: str | None
    retryable: bool
    rows: Mapping[str, object]


def run_notebook(
    notebook: str | Path,
    parameters: Mapping[str, Any],
    *,
    identity: Identity | None = None,
    connections: Mapping[str, Connection] | None = None,
    cell_timeout: float | None = None,
    start_timeout: float = 60,
    progress_seconds: float = 5,
    report: Say = lambda _: None,
    stop: Stop | None = None,
) -> Finished:
    """Execute a notebook and say how it ended; a failed notebook is no exception, it is a status.

    `connections` are those that its parameters ending in `_conn_id` name, resolved; left out, they are
    read from the environment. Whatever is raised in this thread meanwhile, by a signal handler, ends the
    run and is raised again once artefact and ledger are true; `stop` ends it without an exception. Raises
    UsageError, before a kernel starts, where the run was asked for wrongly, and PipelineError where the
    ledger cannot be written.
    """
    path = find_notebook(notebook)
    limits = Limits(cell_timeout, start_timeout, progress_seconds)
    plan = make_plan(path, parameters, identity or Identity(), connections, limits)
    output = open_output()
    stop = stop or Stop()
    return do(lambda say: _run(plan, output, say, stop), report, stop)


def _run(plan: Plan, output: Output, say: Say, stop: Stop) -> Finished:
    """Start the kernel, and while it becomes ready, load what drives it and open the ledger."""
    handed = environment(plan.connections.values(), plan.run_id)
    modules = imports_of(plan.content)
    with Kernel(environment=handed, folder=plan.notebook.parent, modules=modules) as kernel:
        stop.ends(kernel.kill)
        # Loading papermill takes longer than a kernel's start, so the two go side by side.
        import notebook_pipeline.engine  # noqa: F401

        with connect(plan.database) as database:
            create_tables(database)
            # A store that does not answer ends this here: lost runs wait for one who can set them right.
            output.stamp("runs")
            for lost in settle_lost(database, output):
                say(f"settled run {lost['run_id']} ({lost['notebook']}) as failed: {ledger.LOST}")
            # The last success may have been killed before it could do so itself.
            _refresh_latest(plan, database, output, say)
            return _execute(plan, output, kernel, database, say, stop)


def _execute(
    plan: Plan, output: Output, kernel: Kernel, database: Database, say: Say, stop: Stop
) -> Finished:
    """Hold the run's lock from before its row is there until after its row is closed."""
    from notebook_pipeline import engine

    key = new_key(output, plan.identity)
    output.prepare(key)
    lock = ledger.hold(database, settings.output(), {"run_id": plan.run_id, "artifact": key})
    try:
        about = plan.row | {
            "status": "running",
            "git_commit": provenance.commit(plan.notebook.parent),
            "versions": provenance.versions(),
        }
        notebook = engine.load(plan.content, plan.given, about)
        ledger.start_run(database, **plan.row, artifact=key)
        address = output.address(key)
        for line in (f"run {plan.run_id} of {plan.notebook.stem} writes {address}", *plan.redactor.warnings):
            say(line)
        execution = Execution(kernel, output, key, plan.redactor, say, plan.limits, lambda: stop.cause)
        _attempt(notebook, execution)
        return _finish(plan, database, notebook, execution)
    finally:
        lock.release()


def _attempt(notebook: Any, execution: Execution) -> None:
    """Run the cells and end the kernel, so that what it committed is known."""
    from notebook_pipeline import engine

    try:
        engine.run(notebook, execution)
    except Exception as error:
        # Not the notebook's error but ours or the disk's; the run is over all the same.
        execution.fail(f"{type(error).__name__}: {error}")
        execution.kernel.kill()
    execution.kernel.close()
    if execution.error is None and not isinstance(execution.result, dict | None):
        execution.fail(f"the notebook's result is {execution.result!r}; expected a JSON object")


def _finish(plan: Plan, database: Database, notebook: Any, execution: Execution) -> Finished:
    """Write the last word, first into the artefact, then into the ledger: whoever dies between is lost."""
    row = ledger.get_run(database, plan.run_id)
    rows = {name: value for name, value in row.items() if name.startswith("rows_") and value is not None}
    about = {
        name: row[name] for name in ("started_at", "committed_at", "watermark_before", "watermark_after")
    }
    about |= {"result": execution.result, "rows": rows}
    _close_artefact(notebook, execution, about)
    status = _status(execution)
    if not ledger.finish_run(database, plan.run_id, status, execution.error) and status == "success":
        # Somebody judged this run lost while it was at work, and the ledger has said so.
        execution.fail(f"{ledger.LOST}: another process settled this run while it was running")
        status = _status(execution)
        _close_artefact(notebook, execution, about)
    if status == "success":
        _refresh_latest(plan, database, execution.output, execution.say)
    return Finished(
        run_id=plan.run_id,
        status=status,
        artifact=execution.artifact,
        address=execution.output.address(execution.artifact),
        result=execution.result,
        error=execution.error,
        retryable=not execution.refused,
        rows=rows,
    )


def _close_artefact(notebook: Any, execution: Execution, about: Mapping[str, Any]) -> None:
    from notebook_pipeline import engine

    try:
        last_word = LastWord(_status(execution), execution.error, about=about)
        engine.close_artefact(notebook, execution.output, execution.artifact, last_word)
    except OSError as error:
        # The ledger can still tell what the artefact cannot.
        execution.fail(f"the artefact cannot be written: {error}")


def _refresh_latest(plan: Plan, database: Database, output: Output, say: Say) -> None:
    try:
        refresh_latest(database, output, plan.notebook.stem)
    except OSError as error:
        # The next run does it.
        say(f"latest/{plan.notebook.stem}.ipynb is not the newest success for now: {error}")


def _status(execution: Execution) -> str:
    return "failed" if execution.error else "success"
