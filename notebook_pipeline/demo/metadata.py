"""Prepare the metadata database of the demonstration's Airflow, in a process of Airflow's own.

Usage: python -m notebook_pipeline.demo.metadata ANSWER — reads connections from standard input as JSON
({id: connection}), adds those that Airflow does not have, and writes to the file descriptor ANSWER, as JSON,
which were added and the base URL that each connection to an API has now.
"""

import json
import os
import sys
from collections.abc import Mapping

from airflow.models import Connection as AirflowConnection
from airflow.models import DagRun, TaskInstance
from airflow.sdk import timezone
from airflow.utils import db
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy import select, update

from notebook_pipeline.airflow.hook import from_airflow
from notebook_pipeline.connections import base_url


def main() -> None:
    """Prepare the database and the connections."""
    wanted = json.load(sys.stdin)
    prepare()
    answer = add_connections(wanted)
    with os.fdopen(int(sys.argv[1]), "w") as stream:
        json.dump(answer, stream)


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
            .where(TaskInstance.run_id.in_(left), TaskInstance.state == TaskInstanceState.RUNNING)
            .values(state=TaskInstanceState.FAILED, **closed)
        )


def add_connections(wanted: Mapping[str, object]) -> dict[str, object]:
    """Add the connections that Airflow does not have yet; say which those are, and where each API is."""
    added, urls = [], {}
    with create_session() as session:
        for conn_id, parts in wanted.items():
            same_id = AirflowConnection.conn_id == conn_id
            stored = session.scalar(select(AirflowConnection).where(same_id))
            if stored is None:
                stored = AirflowConnection.from_json(json.dumps(parts), conn_id)
                session.add(stored)
                added.append(conn_id)
            if stored.conn_type == "http":
                urls[conn_id] = base_url(from_airflow(stored))
    return {"added": added, "urls": urls}


if __name__ == "__main__":
    main()
