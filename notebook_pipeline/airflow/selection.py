"""Which of a task's runs a page shows: one try of one map index."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from notebook_pipeline.errors import UsageError
from notebook_pipeline.review.queries import Run

# The map index in the address of a task that is not mapped.
_UNMAPPED = ("", "{MAP_INDEX}")


@dataclass(frozen=True)
class Selection:
    """The run that is shown, the tries of its map index, and all map indexes that ran."""

    run: Run | None
    tries: Sequence[Run]
    map_indexes: Sequence[int]


def select(runs: Sequence[Run], map_index: str, try_number: str) -> Selection:
    """Select one of a task's runs in one DAG run, by default the last try of the first map index."""
    map_indexes = sorted({run["map_index"] for run in runs})
    wanted = -1 if map_index in _UNMAPPED else _integer("map_index", map_index)
    if wanted == -1 and map_indexes:
        wanted = map_indexes[0]
    # A DAG run may be deleted and run again under the same id; the newest of equal tries counts.
    tries = {run["try_number"]: run for run in runs if run["map_index"] == wanted}
    chosen = _integer("try_number", try_number) if try_number else max(tries, default=0)
    return Selection(tries.get(chosen), list(tries.values()), map_indexes)


def days(text: str) -> float | None:
    """Return how many days to look back, or None for no limit."""
    return float(_integer("days", text)) if text else None


def _integer(name: str, text: str) -> int:
    if not re.fullmatch("-?[0-9]{1,6}", text):
        raise UsageError(f"{name} is {text[:40]!r}; expected a whole number")
    return int(text)
