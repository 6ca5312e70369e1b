"""The merge rule against a model: every interleaving of loads and readings gives the table of the model.

A source has thousands of keys; each changes, vanishes and returns in its own way, so that all ways of one key
occur side by side. Bulk files and live readings see the source at their times, and are merged in every order
that keeps the files in theirs and the readings in theirs.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import loads
import pyarrow as pa
import pytest

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.check_batch import Checked, stored_schema
from notebook_pipeline.declare import Column, Dataset
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.cursors import cursor_text
from notebook_pipeline.storage.database import Database

pytestmark = pytest.mark.usefixtures("each_database")

STAY, CHANGE, VANISH = "stay", "change", "vanish"
TIMES = 7
CURSORS = {
    "day": pa.date32(),
    "moment": pa.timestamp("us", "UTC"),
    "number": pa.int64(),
    "none": None,
}


@dataclass(frozen=True)
class Event:
    """A file or a reading of the source at a time; `deletes` and `accepts` as in a snapshot or a sweep."""

    kind: str
    time: int
    deletes: bool = False
    accepts: bool = False


FILES = (Event("bulk", 2), Event("bulk", 4, deletes=True), Event("bulk", 6))
READINGS = (
    Event("api", 1),
    Event("api", 3, deletes=True),
    Event("api", 5, deletes=True, accepts=True),
    Event("api", 7),
)

Version = tuple[int, int]
"""The time of a change, and the value, which is the time as well but for rows that were set back."""


def timelines(*, sets_back: bool) -> list[list[Version | None]]:
    """Return the state of each key at every time, one for every way in which a key can change."""
    found = []
    for steps in itertools.product((STAY, CHANGE, VANISH), repeat=TIMES):
        state: Version | None = (0, 0)
        line: list[Version | None] = [state]
        for time, step in enumerate(steps, start=1):
            if step == VANISH:
                state = None
            elif step == CHANGE:
                # A row that was set back has an old cursor and a new value; only a sweep at 5 sees it first.
                state = (1, time) if sets_back and time == 5 else (time, time)
            line.append(state)
        found.append(line)
    return found


def merges(files: Sequence[Event], readings: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield every order of merging."""
    for places in itertools.combinations(range(len(files) + len(readings)), len(files)):
        left, right = iter(files), iter(readings)
        yield [next(left) if place in places else next(right) for place in range(len(files) + len(readings))]


def expected(line: Sequence[Version | None], events: Sequence[Event], *, has_cursor: bool) -> Version | None:
    """Return the row that a table must have, from the words of the merge rule alone."""
    rows = [(event, line[event.time]) for event in events if line[event.time]]
    lives = [
        (event, row)
        for event, row in rows
        if row and not any(loses(event, row, other, events, line, has_cursor=has_cursor) for other in events)
    ]
    rank = {event: number for number, event in enumerate(events)}
    best = max(
        lives,
        key=lambda one: (
            one[1][0] if has_cursor else 0,
            one[0].kind == "api",
            one[0].time if one[0].kind == "api" else rank[one[0]],
        ),
        default=None,
    )
    return best[1] if best else None


def loses(
    event: Event,
    row: Version,
    other: Event,
    events: Sequence[Event],
    line: Sequence[Version | None],
    *,
    has_cursor: bool,
) -> bool:
    """Return True if a row loses to what another file or reading says of its key."""
    saw = line[other.time] is not None
    says = (other.deletes and not saw) or (other.accepts and saw)
    if not says or event is other:
        return False
    if other.kind == "api":
        is_before = event.time < other.time if event.kind == "api" else not has_cursor or row[0] <= other.time
        return is_before
    if event.kind == "bulk":
        return event.time < other.time
    # A sweep that accepts what it sees overrules a snapshot of an earlier time.
    accepted = [one for one in events if one.accepts and line[one.time] and one.time >= other.time]
    return has_cursor and row[0] < other.time and not any(event.time >= one.time for one in accepted)


def dataset(cursor: str) -> Dataset:
    kind = CURSORS[cursor]
    at = [Column("at", kind, nullable=False)] if kind else []
    columns = (Column("id", pa.int64(), nullable=False), *at, Column("value", pa.int64(), nullable=False))
    return Dataset("thing", columns, "id", "at" if kind else None)


def at(time: int, kind: pa.DataType | None) -> Any:
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=time)
    if kind is None or pa.types.is_integer(kind):
        return time
    return moment.date().isoformat() if pa.types.is_date(kind) else moment


def merge(
    database: Database,
    declared: Dataset,
    event: Event,
    lines: Sequence[Sequence[Version | None]],
    session: Session,
) -> None:
    kind = declared.schema.field("at").type if declared.cursor else None
    states = [(key, line[event.time]) for key, line in enumerate(lines)]
    # The last key changes all the time, so that the newest row of a file or a reading tells its time.
    rows = [(key, state) for key, state in states if state] + [(len(lines), (event.time, event.time))]
    values: dict[str, list] = {"id": [key for key, _ in rows], "value": [state[1] for _, state in rows]}
    if kind is not None:
        values["at"] = [at(state[0], kind) for _, state in rows]
    good = pa.RecordBatch.from_pydict(
        {name: values[name] for name in declared.schema.names}, stored_schema(declared)
    )
    day = at(event.time, pa.date32())
    moment = cursor_text(at(event.time, pa.timestamp("us", "UTC")))
    origin = Origin(
        loads.KINDS[event.kind], day=day, moment=moment, highest=event.time, accept_older=event.accepts
    )
    with transaction(session, origin, loads.ANY_NUMBER) as merging:
        merging.merge([Checked(good, [], len(good))])
        if event.deletes:
            merging.compare_keys(good.column("id"), delete=True, max_deleted_percent=100.0)
        merging.verify()
    ledger.finish_run(database, session.run_id, "success")


def gives_the_table_of_the_model(
    folder: Path, cursor: str, orders: Sequence[list[Event]], *, sets_back: bool
) -> None:
    declared, lines = dataset(cursor), timelines(sets_back=sets_back)[::7]
    for number, order in enumerate(orders):
        with loads.open_database(folder / str(number), declared) as database:
            sessions = {event: start(database, declared) for event in (*READINGS, *FILES)}
            for event in order:
                merge(database, declared, event, lines, sessions[event])
            found = dict(database.execute("SELECT id, value FROM thing"))
            wanted = {
                key: row[1]
                for key, line in enumerate(lines)
                if (row := expected(line, order, has_cursor=declared.cursor is not None))
            }
            found.pop(len(lines))
            wrong = [key for key in range(len(lines)) if found.get(key) != wanted.get(key)]
            assert not wrong, (order, lines[wrong[0]], found.get(wrong[0]), wanted.get(wrong[0]))


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("cursor", CURSORS)
def test_some_interleavings_give_the_table_of_the_model(tmp_path: Path, cursor: str) -> None:
    orders = list(merges(FILES, READINGS))
    gives_the_table_of_the_model(tmp_path, cursor, orders[::12], sets_back=True)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("sets_back", [False, True])
@pytest.mark.parametrize("cursor", CURSORS)
def test_every_interleaving_gives_the_table_of_the_model(
    tmp_path: Path, cursor: str, sets_back: bool
) -> None:
    orders = list(merges(FILES, READINGS))
    gives_the_table_of_the_model(tmp_path, cursor, orders, sets_back=sets_back)


def start(database: Database, declared: Dataset) -> Session:
    session, _ = loads.start(database)
    session = Session(session.run_id, {"dataset": declared.name}, database, None)
    session.dataset = declared
    return session
