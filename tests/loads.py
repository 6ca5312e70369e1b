"""Run loads on a fresh database, as notebooks do, without a notebook; and read back what they left."""

import contextlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import databases
import pyarrow as pa
from databases import connection
from declared import PLAYER

from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.check_batch import Checked, Rejected, stored_schema
from notebook_pipeline.declare import Dataset
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.running.run_identity import new_run_id
from notebook_pipeline.sources.files.file_source import BULK as KIND_BULK
from notebook_pipeline.sources.http.rest import API as KIND_API
from notebook_pipeline.sources.replay import ReplaySource
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database, Lock
from notebook_pipeline.storage.tables import create_table, create_tables

BULK, API = Origin(KIND_BULK), Origin(KIND_API)
KINDS = {kind.name: kind for kind in (KIND_BULK, KIND_API)}
ANY_NUMBER = Limits(max_rejected_percent=100.0)

Row = tuple[int, str, str]
"""A player's id, last name and day; the rest is always the same."""


def open_database(folder: Path, dataset: Dataset = PLAYER) -> Database:
    """Open the database in a folder, with the table of a dataset."""
    database = connect(connection(folder))
    create_tables(database)
    create_table(database, dataset)
    return database


def open_at_once(folder: Path) -> Database:
    """Open the database in a folder as it is, and wait for nobody who holds it."""
    database = connect(connection(folder))
    if not database.is_shared:
        database.execute("PRAGMA busy_timeout = 0")
    return database


def is_locked(database: Database) -> bool:
    """Return True if another connection has an open transaction that writes."""
    if database.is_shared:
        return databases.others(database, "AND xact_start IS NOT NULL") > 0
    try:
        with database.transaction():
            return False
    except PipelineError as error:
        if "locked" not in str(error):
            raise
        return True


def stored(row: Row) -> tuple:
    """Return a row as the table has it, without its marks."""
    key, name, day = row
    return (key, None, "Ada", name, "QB", day)


def good(rows: Iterable[Row]) -> pa.RecordBatch:
    """Return rows as the contract hands them on."""
    names = stored_schema(PLAYER).names
    return pa.RecordBatch.from_pylist(
        [dict(zip(names, stored(row), strict=True)) for row in rows], stored_schema(PLAYER)
    )


def rejected(row: Row, source: str = "bulk", position: str = "f.csv:1") -> Rejected:
    """Return a row as one that the contract refused: as text where it is from a file."""
    values = dict(zip(stored_schema(PLAYER).names, stored(row), strict=True))
    key = str(row[0]) if source == "bulk" else row[0]
    return Rejected(position, json.dumps({**values, "player_id": key}), ["position: 'QB' is odd"])


def checked(rows: Sequence[Row], bad: Sequence[Rejected] = ()) -> Checked:
    """Return a batch as the contract splits it."""
    return Checked(good(rows), list(bad), len(rows) + len(bad))


def start(
    database: Database, source: str = "f.csv", folder: Path | None = None
) -> tuple[Session, Lock | None]:
    """Start a run as a runner does: take the lock first, if there is a folder for it, then add the row."""
    run_id = new_run_id()
    artifact = f"runs/manual/{run_id}/load__try1.ipynb"
    lock = ledger.hold(database, folder, {"run_id": run_id, "artifact": artifact}) if folder else None
    ledger.start_run(
        database,
        run_id=run_id,
        dag_id="manual",
        dag_run_id=run_id,
        task_id="load",
        notebook="load",
        notebook_sha256="0" * 64,
        parameters={"dataset": "player", "source": source},
        artifact=artifact,
    )
    return Session(run_id, {"dataset": "player"}, database, None), lock


def run(
    database: Database,
    origin: Origin,
    *batches: Checked,
    present: Sequence[int] | None = None,
    limits: Limits = ANY_NUMBER,
    session: Session | None = None,
) -> str:
    """Load batches in a run of their own and return its id; `present` makes it a sweep that deletes."""
    session = session or start(database)[0]
    with transaction(session, origin, limits) as merge:
        merge.merge(batches)
        if present is not None:
            merge.compare_keys(keys(*present), delete=True, max_deleted_percent=100.0)
        merge.verify()
    ledger.finish_run(database, session.run_id, "success")
    return session.run_id


class Replayed(NamedTuple):
    """The rejected rows of a run, as they are read for a replay."""

    batches: list[RawBatch]
    origin: Origin
    rows: int | None
    notes: list[str]


def replay(database: Database, dataset: Dataset, run_id: str) -> Replayed:
    """Read the rejected rows of a run again."""
    source = ReplaySource(database, dataset, run_id)
    ending = source.ending()
    return Replayed(list(source.batches()), ending.origin, ending.rows, list(ending.notes))


def players(database: Database) -> list[tuple]:
    """Return id, last name, day, run and source of every player."""
    return database.execute(
        "SELECT player_id, last_name, last_changed_date, _run_id, _source FROM player ORDER BY player_id"
    )


def rows_of(database: Database) -> list[Row]:
    """Return every player as a row."""
    return [player[:3] for player in players(database)]  # type: ignore[misc]


def counts(database: Database, run_id: str) -> dict[str, Any]:
    """Return a run's counts, without the word rows."""
    row = ledger.get_run(database, run_id)
    return {name.removeprefix("rows_"): value for name, value in row.items() if name.startswith("rows_")}


def keys(*present: int) -> pa.Array:
    """Return keys as an API run collects them."""
    return pa.array(present, pa.int64())


nothing = contextlib.nullcontext
