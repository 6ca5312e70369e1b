"""The last deleting sweep of each source, which applies to all keys but those that it saw or spares."""

import json
from dataclasses import dataclass

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.source_kind import BULK_MARK
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.cursors import NO_CURSOR, is_later
from notebook_pipeline.storage.database import Database, Value, quoted
from notebook_pipeline.storage.keys import key_text


@dataclass(frozen=True)
class Sweep:
    """The last deleting sweep of a source: its moment, its place, and the keys that it does not apply to.

    `spared` is a JSON list of the keys that the source had but that are not stored, because their rows were
    rejected; whether they are deleted is recorded in `deleted_row` alone.
    """

    source: str
    cursor: str
    run_id: str
    place: str
    spared: str

    @property
    def is_live(self) -> bool:
        """Return True if the sweep read a live source, False for a snapshot file."""
        return self.source != BULK_MARK


@dataclass(frozen=True)
class Reading:
    """The reading that finds rows missing: its run, where it comes from, its place and its moment.

    `moment` is a cursor's text: the day or the time at which reading began, or the highest number read.
    """

    run_id: str
    origin: Origin
    place: str
    moment: str


def last_sweeps(database: Database, dataset: str) -> list[Sweep]:
    """Return the last deleting sweep of each source."""
    rows = database.execute(
        """SELECT w.source, w.cursor, w.run_id, coalesce(e.place, w.run_id), w.spared
        FROM sweep w LEFT JOIN extraction e ON e.run_id = w.run_id WHERE w.dataset = ? ORDER BY w.source""",
        [dataset],
    )
    return [Sweep(*row) for row in rows]


def save_sweep(database: Database, dataset: Dataset, reading: Reading) -> None:
    """Record a sweep, whose keys are in the temporary table `_present`, unless a later one is recorded."""
    keys = [quoted(name) for name in dataset.keys]
    same = " AND ".join(f"q.{name} = p.{name}" for name in keys)
    spared = f"""SELECT {key_text(database, dataset, "q")} AS key FROM _present q
        LEFT JOIN {quoted(dataset.name)} p ON {same} WHERE p.{keys[0]} IS NULL"""
    source, cursor = reading.origin.source, reading.moment if dataset.cursor else NO_CURSOR
    last = next((one for one in last_sweeps(database, dataset.name) if one.source == source), None)
    if last and reading.place < last.place:
        _record_spared(
            database,
            dataset,
            last.spared,
            f"SELECT {key_text(database, dataset, 'q')} FROM _present q",
            cursor,
            reading.run_id,
        )
        return
    if last:
        # This sweep will not apply to the spared keys, so what the last one recorded of them is kept.
        now_spared = [key for (key,) in database.execute(spared)]
        _record_spared(
            database,
            dataset,
            json.dumps(now_spared),
            database.json_items(),
            last.cursor,
            last.run_id,
            last.spared,
        )
        cursor = last.cursor if dataset.cursor and is_later(dataset, last.cursor, cursor) else cursor
    listed = json.dumps([key for (key,) in database.execute(spared)])
    database.execute(
        """INSERT INTO sweep (dataset, source, cursor, run_id, spared) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (dataset, source)
        DO UPDATE SET cursor = excluded.cursor, run_id = excluded.run_id, spared = excluded.spared""",
        [dataset.name, source, cursor, reading.run_id, listed],
    )


def _record_spared(
    database: Database, dataset: Dataset, keys: str, seen: str, cursor: str, run_id: str, *values: Value
) -> None:
    """Record that the keys of a JSON list are deleted, except those that the query `seen` yields."""
    database.execute(
        f"""INSERT INTO deleted_row (dataset, key, cursor, run_id) SELECT ?, value, ?, ?
        FROM ({database.json_items()}) listed WHERE value NOT IN ({seen})
        ON CONFLICT (dataset, key) DO UPDATE SET cursor = excluded.cursor, run_id = excluded.run_id""",
        [dataset.name, cursor, run_id, keys, *values],
    )
