"""Add connections to Airflow's metadata database; not usable in tasks, which may not open it."""

import json
from collections.abc import Mapping

from airflow.models import Connection as AirflowConnection
from airflow.utils.session import create_session
from sqlalchemy import select

from notebook_pipeline.airflow.connection_lookup import from_airflow
from notebook_pipeline.connections import Connection


def add_connections(wanted: Mapping[str, object]) -> tuple[list[str], dict[str, Connection]]:
    """Add the connections that Airflow does not have yet ({id: its fields, as in its JSON form}).

    Returns the ids of those that were added, and each wanted connection as Airflow has it now.
    """
    added, stored = [], {}
    with create_session() as session:
        for conn_id, parts in wanted.items():
            same_id = AirflowConnection.conn_id == conn_id
            found = session.scalar(select(AirflowConnection).where(same_id))
            if found is None:
                found = AirflowConnection.from_json(json.dumps(parts), conn_id)
                session.add(found)
                added.append(conn_id)
            stored[conn_id] = from_airflow(found)
    return added, stored
