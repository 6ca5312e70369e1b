"""The identity of a run: its id, and which try of which task it is."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Identity:
    """One try of one task; outside Airflow the run's id and the notebook's name fill in missing ids."""

    dag_id: str = "manual"
    dag_run_id: str | None = None
    task_id: str | None = None
    map_index: int = -1
    try_number: int = 1


def new_run_id() -> str:
    """Return an id that sorts by time (to 2099) and is safe as a file name: 261122-114500123456ab.

    It is short because every row carries it: a sixth of a loaded table was once ids of 30 characters.
    """
    return f"{datetime.now(UTC):%y%m%d-%H%M%S%f}{secrets.token_hex(1)}"


def place_of_reading(run_id: str) -> str:
    """Return the place of a reading that begins now in this run, which sorts among the ids of runs."""
    return f"{datetime.now(UTC):%y%m%d-%H%M%S%f}{run_id[-2:]}"
