"""What a user may read, and access to the ledger through Airflow's connection."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel

from notebook_pipeline.airflow.connection_lookup import resolve_connection
from notebook_pipeline.connections import DATABASE
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.review import queries
from notebook_pipeline.storage.database import Database


class UnreachableError(Exception):
    """Raised if the ledger cannot be read at present, although it may exist."""


@contextmanager
def open_ledger() -> Iterator[Database]:
    """Open the database of the connection `analytics_database` read-only.

    Raises NoLedgerError if no run is recorded yet, UnreachableError if the database cannot be opened.
    """
    with ExitStack() as stack:
        try:
            database = stack.enter_context(queries.open_ledger(resolve_connection(DATABASE)))
        except queries.NoLedgerError:
            raise
        except PipelineError as error:
            raise UnreachableError(str(error)) from error
        yield database


def readable_dags(user: Any, dag_ids: Iterable[str]) -> frozenset[str]:
    """Return the DAGs whose task logs the user may read."""
    return frozenset(dag_id for dag_id in dag_ids if _reads_logs(user, dag_id))


def _reads_logs(user: Any, dag_id: str) -> bool:
    return get_auth_manager().is_authorized_dag(
        method="GET",
        access_entity=DagAccessEntity.TASK_LOGS,
        details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)),
        user=user,
    )
