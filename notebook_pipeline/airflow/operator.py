"""Run one notebook as an Airflow task, through the same runner as the command line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from notebook_pipeline.airflow.connection_lookup import resolve_connection
from notebook_pipeline.airflow.watchdog import stop_with_parent
from notebook_pipeline.connections import DATABASE, Connection
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.parameters import check_parameters
from notebook_pipeline.running.parameters_cell import read_parameters

if TYPE_CHECKING:
    from notebook_pipeline.running.run_identity import Identity
    from notebook_pipeline.running.run_notebook import Finished

# The runner decides on these, so that every artefact is made the same way.
_DECIDED = {"output_nb", "kernel_name", "language_name", "kernel_conn_id", "log_output", "nbconvert"}


class TaskStopped(BaseException):
    """Interrupt a run whose task was told to stop; no handler of ordinary errors may swallow it."""


class NotebookOperator(PapermillOperator):
    """Run a notebook and hand on its result.

    `input_nb` is its name below `notebooks/`. It gets those of the DAG's params that it declares, and
    `parameters` (templates, or results of other tasks) win over them. The result, a small dict of counts,
    run id and artefact, is the task's XCom and the extra of the asset events of its outlets. Data that is
    refused and parameters that do not fit fail the task at once; anything else may be retried.
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
            raise TypeError(f"NotebookOperator takes no {', '.join(decided)}: its runner decides that")
        # The very object, no copy: what a mapped task gets from another Airflow knows by it, and leaves as
        # it is. A text out of a form would be rendered as a template else, and could ask for any secret.
        super().__init__(input_nb=input_nb, parameters=parameters or {}, **kwargs)  # pyright: ignore[reportArgumentType]
        self.cell_timeout = cell_timeout
        self._is_running = False

    def execute(self, context: Any) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run the notebook and return its result."""
        try:
            finished = self._run(context)
        except UsageError as error:
            raise AirflowFailException(str(error)) from error
        result = plain_result(finished)
        if finished.status != "success":
            # Not returned, but told: whoever reports on this run wants to know.
            context["ti"].xcom_push("return_value", result)
            raise failure(finished)
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra.update(result)
        return result

    def on_kill(self) -> None:
        """Interrupt the run, which ends its kernel and says why in its artefact."""
        if self._is_running:
            raise TaskStopped(f"task {self.task_id} was told to stop")

    def _run(self, context: Mapping[str, Any]) -> "Finished":
        from notebook_pipeline.running.notebook_files import find_notebook
        from notebook_pipeline.running.run_notebook import run_notebook

        notebook = find_notebook(str(self.input_nb))
        declared = read_parameters(notebook)
        names = {parameter.name for parameter in declared or ()}
        params = context["params"].items()
        # An empty field of the form arrives as None.
        form = {name: value for name, value in params if name in names and value is not None}
        given = form | dict(self.parameters or {})
        connections = _connections(check_parameters(declared, given))
        self._is_running = True
        try:
            with stop_with_parent():
                return run_notebook(
                    notebook,
                    given,
                    identity=_identity(context["ti"]),
                    connections=connections,
                    cell_timeout=self.cell_timeout,
                    report=self.log.info,
                )
        finally:
            self._is_running = False


def plain_result(finished: "Finished") -> dict[str, Any]:
    """Return what other tasks and asset events are told: small and plain."""
    told = {
        **(finished.result or {}),
        "run_id": finished.run_id,
        "status": finished.status,
        "artifact": finished.artifact,
        "error": finished.error,
        **finished.rows,
    }
    return {name: value for name, value in told.items() if value is not None}


def failure(finished: "Finished") -> AirflowException:
    """Return the exception that fails the task: for good where another try would end the same way."""
    kind = AirflowException if finished.retryable else AirflowFailException
    return kind(f"{finished.error} (executed notebook: {finished.address})")


def _identity(task: Any) -> "Identity":
    from notebook_pipeline.running.run_identity import Identity

    return Identity(
        dag_id=task.dag_id,
        dag_run_id=task.run_id,
        task_id=task.task_id,
        map_index=-1 if task.map_index is None else task.map_index,
        try_number=task.try_number,
    )


def _connections(parameters: Mapping[str, Any]) -> dict[str, Connection]:
    """Resolve the connections that parameters name, in the task: a kernel cannot ask Airflow."""
    from notebook_pipeline.running.connection_parameters import named_connections

    named = {*named_connections(parameters)}
    if not parameters.get("database_conn_id"):
        # The run's ledger row needs a database, also where the notebook asks for none.
        named.add(DATABASE)
    return {conn_id: resolve_connection(conn_id) for conn_id in sorted(named)}
