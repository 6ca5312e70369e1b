"""Prepare Airflow's metadata database for the demonstration; imported in Airflow's own processes only."""

from collections.abc import Iterable

from airflow.models import Connection as AirflowConnection
from airflow.models import DagRun, TaskInstance
from airflow.sdk import timezone
from airflow.utils import db
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy import select, update

from notebook_pipeline.connections import Connection


def prepare() -> None:
    """Bring the database to this version's state, and close the runs that an interrupted call left open."""
    db.initdb()
    close_left_runs()


def close_left_runs() -> None:
    """Fail unfinished runs that no scheduler started, or the next scheduler would carry them on."""
    with create_session() as session:
        open_states = list(State.unfinished_dr_states)
        is_left = DagRun.triggered_by == DagRunTriggeredByType.TEST, DagRun.state.in_(open_states)
        left = session.scalars(select(DagRun.run_id).where(*is_left)).all()
        closed = {"end_date": timezone.utcnow()}
        session.execute(update(DagRun).where(*is_left).values(state=DagRunState.FAILED, **closed))
        session.execute(
            update(TaskInstance)
            .where(TaskInstance.run_id.in_(left), TaskInstance.state.in_([TaskInstanceState.RUNNING]))
            .values(state=TaskInstanceState.FAILED, **closed)
        )


def add_connections(wanted: Iterable[Connection]) -> dict[str, str]:
    """Add the connections that Airflow does not have yet, and return every wanted one's host as stored."""
    with create_session() as session:
        hosts = {}
        for connection in wanted:
            same_id = AirflowConnection.conn_id == connection.conn_id
            stored = session.scalar(select(AirflowConnection).where(same_id))
            if stored is None:
                stored = AirflowConnection.from_json(connection.to_json(), connection.conn_id)
                session.add(stored)
            hosts[connection.conn_id] = stored.host or ""
        return hosts
