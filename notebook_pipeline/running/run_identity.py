"""The identity of a run: its id, and which try of which task it is."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Identity:
    """One try of one task; outside Airflow the run's id and the notebook's name fill in missing ids."""

    dag_id: str = "manual"
    dag_run_id: str | None = None
    task_id: str | None = None
    map_index: int = -1
    try_number: int = 1


def new_run_id(after: str = "") -> str:
    """Return an id that sorts by time (to 2099) and is safe as a file name: 261122-114500123456ab.

    It sorts after the id `after`, even if the clock has been set back since: the order of runs decides which
    row wins. It is short because every row carries it: a sixth of a loaded table was once ids of 30
    characters.
    """
    time = f"{datetime.now(UTC):{_TIME}}"
    if time <= after[: len(time)]:
        time = _next(after[: len(time)])
    return f"{time}{secrets.token_hex(1)}"


def place_of_reading(run_id: str) -> str:
    """Return the place of a reading that begins now in this run, which sorts among the ids of runs."""
    return f"{datetime.now(UTC):{_TIME}}{run_id[-2:]}"


def seconds_ahead(run_id: str) -> float:
    """Return by how many seconds a run's id is ahead of this machine's clock; 0 if it is not."""
    try:
        return max(0.0, (_parsed(run_id[:_LENGTH]) - datetime.now(UTC)).total_seconds())
    except ValueError:
        return 0


def _next(time: str) -> str:
    """Return the microsecond after a time; one that no clock can show counts on as a number."""
    try:
        return f"{_parsed(time) + timedelta(microseconds=1):{_TIME}}"
    except ValueError:
        day, _, rest = time.partition("-")
        return f"{day}-{int(rest) + 1:012}" if rest.isdecimal() else time


def _parsed(time: str) -> datetime:
    # Python reads the year 69 and later ones as those of the last century.
    return datetime.strptime(f"20{time}", f"%Y{_TIME.removeprefix('%y')}").replace(tzinfo=UTC)


_TIME = "%y%m%d-%H%M%S%f"
_LENGTH = len("261122-114500123456")
