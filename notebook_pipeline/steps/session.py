"""The run that a notebook's cells belong to: the runner's, or one started by hand."""

import atexit
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.core.getipython import get_ipython
from IPython.display import display

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, Connection, resolve
from notebook_pipeline.declare import Dataset
from notebook_pipeline.declare.catalogue import get
from notebook_pipeline.declare.child_datasets import Nested, children_of, parents_of
from notebook_pipeline.errors import EndRun, PipelineError, UsageError
from notebook_pipeline.outputs.output_store import open_output
from notebook_pipeline.running.artefacts import settle_lost
from notebook_pipeline.running.connection_parameters import named_connections
from notebook_pipeline.running.mime_types import RESULT, RUN_ID
from notebook_pipeline.running.parameters import check_parameters
from notebook_pipeline.running.parameters_cell import read_parameters
from notebook_pipeline.running.plan import refuse_secrets
from notebook_pipeline.running.run_identity import new_run_id
from notebook_pipeline.running.run_order import warn_of_clock
from notebook_pipeline.secrets.everyday_words import everyday_words
from notebook_pipeline.secrets.redaction import Redactor
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database, Lock
from notebook_pipeline.storage.row_counts import short_name
from notebook_pipeline.storage.tables import (
    create_table,
    create_tables,
    index_parents,
    missing_columns,
    refuse_foreign,
)

_joined: list["Session"] = []


class Session:
    """A notebook's run: id, parameters, dataset and open database.

    A run by hand has a `lock` and writes its own end to the ledger; otherwise the runner does both.
    """

    def __init__(
        self, run_id: str, parameters: Mapping[str, Any], database: Database, lock: Lock | None
    ) -> None:
        self.run_id = run_id
        self.parameters = parameters
        self.database = database
        self._lock = lock

    @cached_property
    def dataset(self) -> Dataset:
        """Return the dataset that the run's parameters name, as declared when first used."""
        return get(self.parameters["dataset"])

    @cached_property
    def missing_columns(self) -> list[str]:
        """Return the declared columns that the table lacked when first asked; the run's load adds them.

        Those of children's tables are named with the table.
        """
        own = [column.name for column in missing_columns(self.database, self.dataset)]
        return own + [
            f"{nested.dataset.name}.{column.name}"
            for nested in self.children
            for column in missing_columns(self.database, nested.dataset)
        ]

    @cached_property
    def children(self) -> Sequence[Nested]:
        """Return the children of the dataset, as declared when first used."""
        return children_of(self.dataset)

    @cached_property
    def parents(self) -> Sequence[Nested]:
        """Return the dataset as a child, once for each dataset of which it is one."""
        return parents_of(self.dataset)

    @property
    def is_open_by_hand(self) -> bool:
        """Return True if the run was started by hand, as in JupyterLab, and is not closed yet."""
        return self._lock is not None

    def show(self, result: Mapping[str, object]) -> None:
        """Show the run's result as a table, and publish it for the runner."""
        table = pd.DataFrame({"": [_readable(value) for value in result.values()]}, index=list(result))
        bundle = {RESULT: dict(result), "text/plain": table.to_string(header=False)}
        display(bundle | {"text/html": table.to_html(header=False, border=0)}, raw=True)

    def finish(self, result: Mapping[str, object]) -> None:
        """Show the result and close a run by hand as a success; its database stays open for queries."""
        self.show(result)
        self.close("success")

    def fail(self, error: str) -> None:
        """Close a run by hand as failed, unless it is already closed."""
        self.close("failed", _redactor(self.parameters).text(error))

    def close(self, status: str, error: str | None = None) -> None:
        """Write the end of a run by hand to the ledger, unless it is already closed."""
        if self._lock:
            ledger.finish_run(self.database, self.run_id, status, error)
            self._lock.release()
            self._lock = None


def join_run(notebook: str, namespace: Mapping[str, Any]) -> Session:
    """Return the run that these cells belong to, with its database open and its dataset's table created.

    `namespace` is the notebook's `globals()` after the parameters cell. Under the runner the run already
    exists. By hand a new one starts, with `manual` as its dag_id, after closing as failed one that was left
    open in this kernel.
    """
    _leave("started again before it was finished")
    declared = read_parameters(settings.notebooks() / f"{notebook}.ipynb") or []
    given = {
        parameter.name: namespace[parameter.name] for parameter in declared if parameter.name in namespace
    }
    parameters = check_parameters(declared, given)
    database = connect(resolve(str(parameters.get("database_conn_id") or DATABASE)))
    try:
        dataset = get(parameters["dataset"]) if parameters.get("dataset") else None
        children = children_of(dataset) if dataset else []
        written = [dataset, *(nested.dataset for nested in children)] if dataset else []
        for one in written:
            refuse_foreign(database, one.name)
        create_tables(database)
        for one in written:
            create_table(database, one)
        for nested in children:
            index_parents(database, nested)
        run_id = os.environ.get(RUN_ID)
        begin = _join if run_id else _start_by_hand
        run = begin(run_id or notebook, parameters, database)
    except BaseException:
        database.close()
        raise
    _joined.append(run)
    return run


def _join(run_id: str, parameters: Mapping[str, Any], database: Database) -> Session:
    row = ledger.get_run(database, run_id)
    if row["status"] != "running":
        raise PipelineError(
            f"run {run_id} has already ended as {row['status']} ({row['error']}); start another"
        )
    return Session(run_id, parameters, database, None)


def _start_by_hand(notebook: str, parameters: Mapping[str, Any], database: Database) -> Session:
    refuse_secrets(parameters, _redactor(parameters))
    newest = ledger.newest_run_id(database)
    warn_of_clock(newest, print)
    run_id = new_run_id(newest)
    # If the output cannot be reached, a later run that can correct the artefacts settles lost runs.
    with suppress(OSError, PipelineError):
        output = open_output()
        output.stamp("runs")
        settle_lost(database, output)
    lock = ledger.hold(database, settings.output(), {"run_id": run_id, "artifact": None})
    try:
        ledger.start_run(
            database,
            run_id=run_id,
            dag_id="manual",
            dag_run_id=run_id,
            task_id=notebook,
            notebook=notebook,
            notebook_sha256=_sha256(settings.notebooks() / f"{notebook}.ipynb"),
            parameters=parameters,
            artifact=None,
        )
    except BaseException:
        lock.release()
        raise
    _watch_cells()
    return Session(run_id, parameters, database, lock)


@atexit.register
def _leave(why: str = "the kernel was shut down before the run was finished") -> None:
    """Close the run that this kernel joined, and its database."""
    while _joined:
        run = _joined.pop()
        run.fail(why)
        run.database.close()


def _watch_cells() -> None:
    """Close a run by hand as failed when one of its cells raises, since there is no runner to do it."""
    shell = get_ipython()
    if shell and _fail_with_cell not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _fail_with_cell)


def _fail_with_cell(outcome: Any) -> None:
    error = outcome.error_before_exec or outcome.error_in_exec
    for run in [run for run in _joined if error and run.is_open_by_hand]:
        if isinstance(error, EndRun):
            run.close("success")
        else:
            run.fail(f"{type(error).__name__}: {error}")


def _readable(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "—"}[value]
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "—"
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_in_words(counts)}" for name, counts in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def _redactor(parameters: Mapping[str, Any]) -> Redactor:
    return Redactor(_connections(parameters), everyday_words(parameters))


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {short_name(name)}" for name, count in counts.items() if count) or "no rows"


def _connections(parameters: Mapping[str, Any]) -> Iterator[Connection]:
    for conn_id in named_connections(parameters):
        with suppress(UsageError):  # an unknown connection has no secrets
            yield resolve(conn_id)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
