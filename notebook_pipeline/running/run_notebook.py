"""Execution of one notebook with its parameters, which leaves an artefact and a row in the ledger."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from notebook_pipeline.connections import Connection
from notebook_pipeline.outputs.output_store import Output, open_output
from notebook_pipeline.running import preload
from notebook_pipeline.running.background import Say, Stop, do
from notebook_pipeline.running.execution import Finished
from notebook_pipeline.running.kernel import Kernel, environment
from notebook_pipeline.running.notebook_files import find_notebook
from notebook_pipeline.running.output_limits import output_limits
from notebook_pipeline.running.plan import Limits, Plan, make_plan
from notebook_pipeline.running.run_identity import Identity

__all__ = ["Finished", "Stop", "find_notebook", "run_notebook"]


def run_notebook(
    notebook: str | Path,
    parameters: Mapping[str, Any],
    *,
    identity: Identity | None = None,
    connections: Mapping[str, Connection] | None = None,
    cell_timeout: float | None = None,
    start_timeout: float = 60,
    end_timeout: float = 60,
    progress_seconds: float = 5,
    report: Say = lambda _: None,
    stop: Stop | None = None,
    unneeded: Sequence[str] = (),
) -> Finished:
    """Execute a notebook and return the outcome; a failed notebook is a status, not an exception.

    `connections` are the resolved ones that parameters ending in `_conn_id` name; by default they are read
    from the environment. An exception that a signal handler raises in this thread stops the run, and is
    raised again after artefact and ledger have been completed; `stop` stops it without an exception.
    `unneeded` packages are optional imports of papermill that are not loaded. Raises UsageError, before a
    kernel starts, if the request is wrong, and PipelineError if the ledger cannot be written.
    """
    path = find_notebook(notebook)
    limits = Limits(cell_timeout, start_timeout, progress_seconds, end_timeout, output_limits())
    plan = make_plan(path, parameters, identity or Identity(), connections, limits)
    output = open_output()
    stop = stop or Stop()
    return do(lambda say: _run(plan, output, say, stop, unneeded), report, stop)


def _run(plan: Plan, output: Output, say: Say, stop: Stop, unneeded: Sequence[str]) -> Finished:
    """Start the kernel, and import the modules that drive it while it gets ready, which takes as long."""
    passed = environment(plan.connections.values(), plan.run_id)
    modules = preload.imports_of(plan.source)
    with Kernel(environment=passed, folder=plan.notebook.parent, modules=modules, spec=plan.kernel) as kernel:
        stop.ends(kernel.kill)
        # Slow to import, and not needed if the request is wrong.
        with preload.without(unneeded):
            from notebook_pipeline.running.recording import record_run
            from notebook_pipeline.running.run_order import in_order

        ordered = in_order(plan, say)
        if ordered is plan:
            return record_run(plan, output, kernel, say, stop)
    # A clock has been set back: the kernel was told an id before those of earlier runs.
    return _run(ordered, output, say, stop, unneeded)
