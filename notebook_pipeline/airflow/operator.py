"""The operator that runs one notebook as a task, with the same runner as the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from notebook_pipeline.airflow.connection_lookup import resolve_connection
from notebook_pipeline.airflow.dataset_assets import CHECKED_DATASET, dataset_asset
from notebook_pipeline.airflow.watchdog import stop_with_parent
from notebook_pipeline.connections import DATABASE, Connection
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.connection_parameters import named_connections
from notebook_pipeline.running.notebook_files import find_notebook
from notebook_pipeline.running.parameters import Parameter, check_parameters, parsed
from notebook_pipeline.running.parameters_cell import read_parameters
from notebook_pipeline.running.run_identity import Identity
from notebook_pipeline.running.run_notebook import Finished, run_notebook

# The runner sets these, so that all artefacts are written in the same way.
_DECIDED = {"output_nb", "kernel_name", "language_name", "kernel_conn_id", "log_output", "nbconvert"}


class TaskStopped(BaseException):
    """Raised in a run whose task is to stop; a BaseException, which `except Exception` does not catch."""


class NotebookOperator(PapermillOperator):
    """Run a notebook and return its result.

    `input_nb` is the notebook's name below `notebooks/`. The notebook receives those params of the DAG that
    it declares; `parameters` (templates, or results of other tasks) take precedence over them. The result is
    a small dict of counts, run id and artefact: the task's XCom, and the extra of its outlets' events. The
    outlet `CHECKED_DATASET` publishes the asset of the dataset that the parameter `dataset` names. The task
    fails without a retry if the notebook refuses the data or does not accept the parameters; after any other
    error it may be retried.
    """

    template_fields = ("input_nb", "parameters")

    def __init__(
        self,
        *,
        input_nb: str,
        parameters: Mapping[str, Any] | None = None,
        cell_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        decided = sorted(_DECIDED & kwargs.keys())
        if decided:
            raise TypeError(f"NotebookOperator does not accept {', '.join(decided)}: the runner sets it")
        # The same object, not a copy: Airflow recognises by its identity a value that a mapped task got from
        # another task, and does not render it. Text from a form would otherwise be rendered as a template,
        # which could read any secret.
        super().__init__(input_nb=input_nb, parameters=parameters or {}, **kwargs)  # pyright: ignore[reportArgumentType]
        self.cell_timeout = cell_timeout
        self._is_running = False

    def execute(self, context: Any) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run the notebook and return its result."""
        try:
            notebook = find_notebook(str(self.input_nb))
            declared = read_parameters(notebook)
            given = self._given(declared, context["params"])
            values = check_parameters(declared, given)
            self._require_dataset(values)
            finished = self._run(notebook, given, _connections(values), context["ti"])
        except UsageError as error:
            raise AirflowFailException(str(error)) from error
        result = plain_result(finished)
        if finished.status != "success":
            # A failed task returns nothing, so push the result for the task that reports on the run.
            context["ti"].xcom_push("return_value", result)
            raise failure(finished)
        self._publish(context["outlet_events"], values, result)
        return result

    def on_kill(self) -> None:
        """Interrupt the run, so that it kills its kernel and writes the reason to its artefact."""
        if self._is_running:
            raise TaskStopped(f"task {self.task_id} was told to stop")

    def _given(self, declared: Sequence[Parameter] | None, params: Mapping[str, Any]) -> dict[str, Any]:
        names = {parameter.name for parameter in declared or ()}
        # An empty field of the form is None.
        form = {name: value for name, value in params.items() if name in names and value is not None}
        return form | _typed(declared, dict(self.parameters or {}))

    def _require_dataset(self, values: Mapping[str, Any]) -> None:
        if CHECKED_DATASET in self.outlets and not values.get("dataset"):
            raise UsageError(
                f"task {self.task_id} has the outlet CHECKED_DATASET, but {self.input_nb} has no parameter "
                "`dataset` to say whose asset to publish: declare it, or use an Asset as the outlet"
            )

    def _run(
        self, notebook: Path, given: Mapping[str, Any], connections: Mapping[str, Connection], task: Any
    ) -> Finished:

        self._is_running = True
        try:
            with stop_with_parent():
                return run_notebook(
                    notebook,
                    given,
                    identity=_identity(task),
                    connections=connections,
                    cell_timeout=self.cell_timeout,
                    report=self.log.info,
                )
        finally:
            self._is_running = False

    def _publish(self, events: Any, values: Mapping[str, Any], result: dict[str, Any]) -> None:
        for outlet in self.outlets:
            if outlet == CHECKED_DATASET:
                events[outlet].add(dataset_asset(values["dataset"]), extra=result)
            else:
                events[outlet].extra.update(result)


def _typed(declared: Sequence[Parameter] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Convert texts to the types that the notebook declares: a template always renders to text."""
    known = {parameter.name: parameter for parameter in declared or () if parameter.type != "str"}
    return {
        name: parsed(known[name], value) if name in known and isinstance(value, str) else value
        for name, value in given.items()
    }


def plain_result(finished: Finished) -> dict[str, Any]:
    """Return the result as other tasks and asset events receive it: a small dict of plain values."""
    values = {
        **(finished.result or {}),
        "run_id": finished.run_id,
        "status": finished.status,
        "artifact": finished.artifact,
        "error": finished.error,
        **finished.rows,
    }
    return {name: value for name, value in values.items() if value is not None}


def failure(finished: Finished) -> AirflowException:
    """Return the exception that fails the task; it prevents a retry that would fail in the same way."""
    kind = AirflowException if finished.retryable else AirflowFailException
    return kind(f"{finished.error} (executed notebook: {finished.address})")


def _identity(task: Any) -> Identity:

    return Identity(
        dag_id=task.dag_id,
        dag_run_id=task.run_id,
        task_id=task.task_id,
        map_index=-1 if task.map_index is None else task.map_index,
        try_number=task.try_number,
    )


def _connections(parameters: Mapping[str, Any]) -> dict[str, Connection]:
    """Resolve the connections named in the parameters; a kernel has no access to Airflow's connections."""

    named = {*named_connections(parameters)}
    if not parameters.get("database_conn_id"):
        # The run's row in the ledger needs a database even if the notebook uses none.
        named.add(DATABASE)
    return {conn_id: resolve_connection(conn_id) for conn_id in sorted(named)}
