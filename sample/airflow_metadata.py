"""Prepare the metadata database of the demonstration's Airflow, in a separate process.

Usage: python -m sample.airflow_metadata ANSWER — reads connections from standard input as JSON
({id: connection}), adds those that Airflow does not have, and writes to the file descriptor ANSWER, as JSON,
the ids of those that were added and the current base URL of each API connection.
"""

import json
import os
import sys

from airflow.models import DagRun, TaskInstance
from airflow.sdk import timezone
from airflow.utils import db
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy import select, update

from notebook_pipeline.airflow.add_connections import add_connections
from notebook_pipeline.connections import base_url


def main() -> None:
    """Prepare the database and the connections."""
    wanted = json.load(sys.stdin)
    prepare()
    added, stored = add_connections(wanted)
    urls = {conn_id: base_url(found) for conn_id, found in stored.items() if found.conn_type == "http"}
    with os.fdopen(int(sys.argv[1]), "w") as stream:
        json.dump({"added": added, "urls": urls}, stream)


def prepare() -> None:
    """Migrate the database to this version, and close the runs that an interrupted call left open."""
    db.initdb()
    close_left_runs()


def close_left_runs() -> None:
    """Mark unfinished runs of `dag.test()` as failed, or the next scheduler would continue them."""
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


if __name__ == "__main__":
    main()
