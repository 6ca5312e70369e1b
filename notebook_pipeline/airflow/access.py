"""Decide what a user may read, and open the ledger as Airflow's connection says."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel

from notebook_pipeline.airflow.hook import resolve_connection
from notebook_pipeline.connections import DATABASE
from notebook_pipeline.review import queries
from notebook_pipeline.storage.database import Database


@contextmanager
def open_ledger() -> Iterator[Database]:
    """Open the database that the connection `analytics_database` names, for reading only."""
    with queries.open_ledger(resolve_connection(DATABASE)) as database:
        yield database


def readable_dags(user: Any, dag_ids: Iterable[str]) -> frozenset[str]:
    """Return those DAGs of which the user may read the tasks' logs."""
    return frozenset(dag_id for dag_id in dag_ids if _reads_logs(user, dag_id))


def _reads_logs(user: Any, dag_id: str) -> bool:
    return get_auth_manager().is_authorized_dag(
        method="GET",
        access_entity=DagAccessEntity.TASK_LOGS,
        details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)),
        user=user,
    )
