"""Deletion of rows that the source no longer has, recorded so that no older row restores them.

A deleting sweep records that on its day the source did not have the keys that it did not see: the stored ones
in `deleted_row`, all others, which a later bulk file may contain, in `sweep`. So it does not matter whether a
file is loaded before or after the sweep. Between a sweep and a bulk row the days decide, between a sweep and
a live row the order of extractions (see merge_rule.py).
"""

import json
from dataclasses import dataclass

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.extraction_order import is_live
from notebook_pipeline.storage.tables import key_type


@dataclass(frozen=True)
class Sweep:
    """The last deleting sweep: its day, its run, and the keys that it does not apply to.

    `spared` is a JSON list of the keys that the source had but that are not stored, because their rows were
    rejected; whether they are deleted is recorded in `deleted_row` alone.
    """

    cursor: str
    run_id: str
    spared: str


def find_missing(database: Database, dataset: Dataset, present: pa.Array, day: str) -> pa.Table:
    """Return key and cursor of the stored rows that the source, read on `day`, no longer has.

    `present` are the keys that it has. Bulk rows newer than `day` are left out: they may be new since then.
    """
    key, cursor = quoted(dataset.key), quoted(dataset.cursor)
    _write_keys(database, dataset, "_present", pc.unique(present))
    return database.query(
        f"""SELECT {key} AS "key", {cursor} AS "cursor" FROM {quoted(dataset.name)}
        WHERE {key} NOT IN (SELECT key FROM _present) AND ({is_live("_source")} OR {cursor} <= ?)
        ORDER BY {key}""",
        [day],
    )


def delete_missing(
    database: Database, dataset: Dataset, missing: pa.Table, *, run_id: str, day: str, max_percent: float
) -> int:
    """Delete the rows that `find_missing` found in this sweep, leaving tombstones; return their number.

    Raises DataRefused, with nothing deleted, if they are more than `max_percent` of the table.
    """
    _check_limit(database, dataset, missing.num_rows, max_percent)
    if missing.num_rows:
        _delete(database, dataset, missing, run_id)
    _save_sweep(database, dataset, run_id, day)
    return missing.num_rows


def last_sweep(database: Database, dataset: str) -> Sweep | None:
    """Return the last deleting sweep, or None if there was none."""
    rows = database.execute("SELECT cursor, run_id, spared FROM sweep WHERE dataset = ?", [dataset])
    return Sweep(*rows[0]) if rows else None


def has_tombstones(database: Database, dataset: str) -> bool:
    """Return True if the dataset has tombstones of deleted rows."""
    sql = "SELECT EXISTS (SELECT 1 FROM deleted_row WHERE dataset = ?)"
    return bool(database.execute(sql, [dataset])[0][0])


def _check_limit(database: Database, dataset: Dataset, missing: int, max_percent: float) -> None:
    stored = database.execute(f"SELECT count(*) FROM {quoted(dataset.name)}")[0][0]
    if missing > stored * max_percent / 100:
        raise DataRefused(
            f"{dataset.name}: the source no longer has {missing:,} of {stored:,} rows, more than "
            f"max_deleted_percent = {max_percent} allows; nothing was deleted. Check the source; if the rows "
            "were really deleted there, run again with a higher max_deleted_percent"
        )


def _delete(database: Database, dataset: Dataset, missing: pa.Table, run_id: str) -> None:
    tombstones = pa.table(
        {
            "dataset": pa.repeat(pa.scalar(dataset.name), missing.num_rows),
            "key": missing["key"].cast(pa.string()),
            "cursor": missing["cursor"].cast(pa.string()),
            "run_id": pa.repeat(pa.scalar(run_id), missing.num_rows),
        }
    )
    _write_keys(database, dataset, "_missing", missing["key"])
    keys = "SELECT CAST(key AS TEXT) FROM _missing"
    for table in ("deleted_row", "row_place"):
        database.execute(f"DELETE FROM {table} WHERE dataset = ? AND key IN ({keys})", [dataset.name])
    database.append("deleted_row", tombstones)
    database.execute(
        f"DELETE FROM {quoted(dataset.name)} WHERE {quoted(dataset.key)} IN (SELECT key FROM _missing)"
    )


def _write_keys(database: Database, dataset: Dataset, table: str, keys: pa.Array | pa.ChunkedArray) -> None:
    """Write distinct keys to a new temporary table."""
    database.execute(f"DROP TABLE IF EXISTS {table}")
    database.define(f"CREATE TEMP TABLE {table} (key {key_type(dataset)} PRIMARY KEY)")
    database.append(table, pa.table({"key": keys}))


def _save_sweep(database: Database, dataset: Dataset, run_id: str, day: str) -> None:
    spared = f"SELECT key FROM _present EXCEPT SELECT {quoted(dataset.key)} FROM {quoted(dataset.name)}"
    last = last_sweep(database, dataset.name)
    if last:
        # This sweep will not apply to the spared keys, so what the last one recorded of them is kept.
        database.execute(
            f"""INSERT INTO deleted_row SELECT ?, CAST(key AS TEXT), ?, ? FROM ({spared}) spared
            WHERE key NOT IN ({database.json_items(key_type(dataset))}) ON CONFLICT (dataset, key)
            DO UPDATE SET cursor = excluded.cursor, run_id = excluded.run_id""",
            [dataset.name, last.cursor, last.run_id, last.spared],
        )
        day = max(day, last.cursor)
    keys = json.dumps([key for (key,) in database.execute(spared)])
    database.execute(
        """INSERT INTO sweep VALUES (?, ?, ?, ?) ON CONFLICT (dataset)
        DO UPDATE SET cursor = excluded.cursor, run_id = excluded.run_id, spared = excluded.spared""",
        [dataset.name, day, run_id, keys],
    )
