"""The record of an execution: its lock, its row in the ledger and its artefact."""

from collections.abc import Mapping
from typing import Any

from notebook_pipeline import settings
from notebook_pipeline.outputs.output_store import Output
from notebook_pipeline.running import papermill_engine, provenance
from notebook_pipeline.running.artefact_metadata import LastWord
from notebook_pipeline.running.artefacts import latest_key, new_key, refresh_latest, settle_lost
from notebook_pipeline.running.background import Say, Stop
from notebook_pipeline.running.execution import Execution, Finished
from notebook_pipeline.running.kernel import Kernel
from notebook_pipeline.running.plan import Plan
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_tables

_TIMES_AND_PLACES = ("started_at", "committed_at", "watermark_before", "watermark_after")


def record_run(plan: Plan, output: Output, kernel: Kernel, say: Say, stop: Stop) -> Finished:
    """Mark lost runs as failed, then execute the plan's notebook in the kernel."""
    with connect(plan.database) as database:
        create_tables(database)
        # Fails here if the store does not respond, so that lost runs are left to a later run.
        output.stamp("runs")
        for lost in settle_lost(database, output):
            say(f"settled run {lost['run_id']} ({lost['notebook']}) as failed: {ledger.LOST}")
        # The last successful run may have been killed before it did this itself.
        _refresh_latest(plan, database, output, say)
        return _record(plan, output, kernel, database, say, stop)


def _record(plan: Plan, output: Output, kernel: Kernel, database: Database, say: Say, stop: Stop) -> Finished:
    """Run the notebook, holding the run's lock from before its row is written until after it is closed."""
    key = new_key(output, plan.identity)
    output.prepare(key)
    lock = ledger.hold(database, settings.output(), {"run_id": plan.run_id, "artifact": key})
    try:
        about = plan.row | {
            "status": "running",
            "git_commit": provenance.commit(plan.notebook.parent),
            "versions": provenance.versions(),
        }
        notebook = papermill_engine.load(plan, about)
        ledger.start_run(database, **plan.row, artifact=key)
        address = output.address(key)
        for line in (f"run {plan.run_id} of {plan.name} writes {address}", *plan.redactor.warnings):
            say(line)
        execution = Execution(kernel, output, key, plan.redactor, say, plan.limits, lambda: stop.cause)
        _attempt(notebook, execution)
        return _finish(plan, database, notebook, execution)
    finally:
        lock.release()


def _attempt(notebook: Any, execution: Execution) -> None:
    """Run the cells and end the kernel, after which nothing more can be committed."""
    try:
        papermill_engine.run(notebook, execution)
    except Exception as error:
        # An error of ours or of the disk, not of the notebook; the run ends in any case.
        execution.fail(f"{type(error).__name__}: {error}")
        execution.kernel.kill()
    if not execution.kernel.close(execution.limits.end, execution.say):
        execution.fail(
            f"{execution.limits.end:g} s after the last cell, a thread or an exit handler of the notebook "
            "was still running and was killed; wait for it in a cell"
        )
    if execution.error is None and not isinstance(execution.result, dict | None):
        execution.fail(f"the notebook's result is {execution.result!r}; expected a JSON object")


def _finish(plan: Plan, database: Database, notebook: Any, execution: Execution) -> Finished:
    """Write the outcome to the artefact, then to the ledger; a run that is killed in between is lost."""
    row = ledger.get_run(database, plan.run_id)
    rows = {name: value for name, value in row.items() if name.startswith("rows_") and value is not None}
    about = {name: row[name] for name in _TIMES_AND_PLACES}
    about |= {"result": execution.result, "rows": rows, "ended_early": execution.ended_early}
    _close_artefact(notebook, execution, about)
    status = _status(execution)
    if not ledger.finish_run(database, plan.run_id, status, execution.error) and status == "success":
        # Another process marked this run as lost while it was running.
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
    try:
        last_word = LastWord(_status(execution), execution.error, about=about)
        papermill_engine.close_artefact(notebook, execution.output, execution.artifact, last_word)
    except OSError as error:
        # The ledger can still record the error.
        execution.fail(f"the artefact cannot be written: {error}")


def _refresh_latest(plan: Plan, database: Database, output: Output, say: Say) -> None:
    try:
        refresh_latest(database, output, plan.name)
    except OSError as error:
        # The next run retries.
        say(f"{latest_key(plan.name)} cannot be updated to the newest success: {error}")


def _status(execution: Execution) -> str:
    return "failed" if execution.error else "success"
