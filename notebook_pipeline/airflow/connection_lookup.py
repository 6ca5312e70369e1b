"""Look up a connection as an Airflow task does, and fall back on the defaults of a fresh checkout."""

from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from notebook_pipeline.connections import Connection, resolve


def resolve_connection(conn_id: str) -> Connection:
    """Return the connection from the task's environment or from Airflow, or else the default.

    Raises UsageError if there is none.
    """
    try:
        return from_airflow(BaseHook.get_connection(conn_id))
    except AirflowNotFoundException:
        return resolve(conn_id)


def from_airflow(found: Any) -> Connection:
    """Convert a connection of Airflow (of a task or of the metadata database)."""
    return Connection(
        found.conn_id,
        found.conn_type or "",
        host=found.host or "",
        login=found.login or "",
        password=found.password or "",
        schema=found.schema or "",
        port=found.port,
        extra=found.extra_dejson,
    )
