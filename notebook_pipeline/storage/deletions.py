"""Deletion of rows that a source no longer has, recorded so that no older row restores them.

A live deletion says that at a moment the source did not have a key: bulk rows that are not after that moment
lose to it, and live rows that were read earlier. A deleting sweep says this of every key that it did not see:
of the stored ones in `deleted_row`, of all others, which a later bulk file may contain, in `sweep`. So it is
no matter whether a file is loaded before or after the sweep. A snapshot's deletions are bulk statements: a
later load restores the row, and so does a live row that is not older (see merge_rule.py).
"""

from collections.abc import Sequence

import pyarrow as pa

from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.storage.cursors import as_cursor, stored_cursor, typed_cursor
from notebook_pipeline.storage.database import Database, Value, quoted
from notebook_pipeline.storage.extraction_order import is_behind, is_bulk, is_live, stored_place
from notebook_pipeline.storage.keys import key_text
from notebook_pipeline.storage.sweeps import Reading, save_sweep


def lacks_stored(database: Database, dataset: Dataset, present: pa.RecordBatch) -> bool:
    """Return True if any stored row has a key that is not present."""
    write_keys(database, dataset, "_present", present)
    same = " AND ".join(f"q.{name} = p.{name}" for name in _names(dataset))
    lacking = f"NOT EXISTS (SELECT 1 FROM _present q WHERE {same})"
    sql = f"SELECT EXISTS (SELECT 1 FROM {quoted(dataset.name)} p WHERE {lacking})"
    return bool(database.execute(sql)[0][0])


def find_missing(database: Database, dataset: Dataset, present: pa.RecordBatch, reading: Reading) -> int:
    """Find the stored rows whose key is not present, and return their number.

    Rows that a later reading wrote are left out, and bulk rows that are after the moment of a live reading,
    and live rows that are not older than a snapshot. The keys found are in the temporary table `_missing`.
    """
    keys = _names(dataset)
    write_keys(database, dataset, "_present", present)
    _create_keys(database, dataset, "_missing", "cursor TEXT")
    conditions, values = _may_be_deleted(database, dataset, reading)
    same = " AND ".join(f"q.{name} = p.{name}" for name in keys)
    columns = ", ".join(f"p.{name}" for name in keys)
    database.execute(
        f"""INSERT INTO _missing SELECT {columns}, {stored_cursor(database, dataset, "p")}
        FROM {quoted(dataset.name)} p
        WHERE NOT EXISTS (SELECT 1 FROM _present q WHERE {same}) AND {conditions}""",
        values,
    )
    return database.execute("SELECT count(*) FROM _missing")[0][0]


def delete_missing(database: Database, dataset: Dataset, reading: Reading, *, max_percent: float) -> int:
    """Delete the rows that `find_missing` found, leaving tombstones; return their number.

    Raises DataRefused, with nothing deleted, if they are more than `max_percent` of the table.
    """
    missing = database.execute("SELECT count(*) FROM _missing")[0][0]
    _check_limit(database, dataset, missing, max_percent)
    if missing:
        _delete(database, dataset, reading, "cursor" if reading.origin.kind.is_live else None)
    save_sweep(database, dataset, reading)
    return missing


def delete_marked(
    database: Database, dataset: Dataset, marked: pa.RecordBatch, reading: Reading
) -> tuple[int, int]:
    """Delete the rows whose keys a live source has marked as deleted; each key occurs once.

    Return the numbers of rows that were deleted, and of markers that lost to a later or newer row.
    """
    keys = _names(dataset)
    write_keys(database, dataset, "_marked", marked)
    _create_keys(database, dataset, "_missing", "cursor TEXT")
    conditions, values = _may_be_deleted(database, dataset, reading)
    same = " AND ".join(f"q.{name} = p.{name}" for name in keys)
    table, columns = quoted(dataset.name), ", ".join(f"q.{name}" for name in keys)
    stored = f"FROM _marked q JOIN {table} p ON {same}"
    database.execute(
        f"INSERT INTO _missing SELECT {columns}, ? {stored} WHERE {conditions}", [reading.moment, *values]
    )
    deleted = database.execute("SELECT count(*) FROM _missing")[0][0]
    lost = database.execute(f"SELECT count(*) {stored}")[0][0] - deleted
    # A row that arrives later, but was read earlier, must lose to the marker also if nothing is stored yet.
    database.execute(
        f"""INSERT INTO _missing SELECT {columns}, ? FROM _marked q LEFT JOIN {table} p ON {same}
        WHERE p.{keys[0]} IS NULL""",
        [reading.moment],
    )
    _delete(database, dataset, reading, "cursor")
    return deleted, lost


def has_tombstones(database: Database, dataset: str) -> bool:
    """Return True if the dataset has tombstones of deleted rows."""
    return _has_rows(database, "deleted_row", dataset)


def has_accepted(database: Database, dataset: str) -> bool:
    """Return True if a sweep of the dataset has accepted rows older than the stored ones."""
    return _has_rows(database, "accepted_row", dataset)


def _has_rows(database: Database, table: str, dataset: str) -> bool:
    sql = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE dataset = ?)"
    return bool(database.execute(sql, [dataset])[0][0])


def _may_be_deleted(database: Database, dataset: Dataset, reading: Reading) -> tuple[str, list[Value]]:
    """Return the condition that a stored row p loses to the statement that its key is missing."""
    cursor = f"p.{quoted(dataset.cursor)}" if dataset.cursor else ""
    moment = typed_cursor(database, dataset, "?") if cursor else ""
    alike = is_live("p._source") if reading.origin.kind.is_live else is_bulk("p._source")
    values: list[Value] = []
    if is_behind(database, dataset.name, reading.run_id, reading.origin, reading.place):
        alike = f"{alike} AND {stored_place(database, dataset)} <= ?"
        values.append(reading.place)
    if reading.origin.kind.is_live:
        other = f"{is_bulk('p._source')}{f' AND {cursor} <= {moment}' if cursor else ''}"
    else:
        other = f"{is_live('p._source')} AND {f'{cursor} < {moment}' if cursor else 'false'}"
    if cursor:
        values.append(reading.moment)
    if cursor and not reading.origin.kind.is_live and has_accepted(database, dataset.name):
        accepted = as_cursor(dataset, "a.cursor")
        other += f""" AND NOT EXISTS (SELECT 1 FROM accepted_row a WHERE a.dataset = ?
            AND a.key = {key_text(database, dataset, "p")} AND {accepted} >= {as_cursor(dataset, "?")})"""
        values += [dataset.name, reading.moment]
    return f"(({alike}) OR ({other}))", values


def _check_limit(database: Database, dataset: Dataset, missing: int, max_percent: float) -> None:
    stored = database.execute(f"SELECT count(*) FROM {quoted(dataset.name)}")[0][0]
    if missing > stored * max_percent / 100:
        raise DataRefused(
            f"{dataset.name}: the source no longer has {missing:,} of {stored:,} rows, more than "
            f"max_deleted_percent = {max_percent} allows; nothing was deleted. Check the source; if the rows "
            "were really deleted there, run again with a higher max_deleted_percent"
        )


def _delete(database: Database, dataset: Dataset, reading: Reading, cursor: str | None) -> None:
    """Delete the rows in `_missing`; the cursor of their tombstones is this SQL, or the reading's moment."""
    text = key_text(database, dataset, "m")
    for table in ("deleted_row", "row_place"):
        database.execute(
            f"DELETE FROM {table} WHERE dataset = ? AND key IN (SELECT {text} FROM _missing m)",
            [dataset.name],
        )
    until: Sequence[Value] = [] if cursor else [reading.moment]
    database.execute(
        f"""INSERT INTO deleted_row (dataset, key, cursor, run_id)
        SELECT ?, {text}, {cursor or "?"}, ? FROM _missing m""",
        [dataset.name, *until, reading.run_id],
    )
    keys = ", ".join(_names(dataset))
    database.execute(f"DELETE FROM {quoted(dataset.name)} WHERE ({keys}) IN (SELECT {keys} FROM _missing)")


def _names(dataset: Dataset) -> list[str]:
    return [quoted(name) for name in dataset.keys]


def _create_keys(database: Database, dataset: Dataset, table: str, *more: str) -> None:
    """Create a temporary table of distinct keys."""
    columns = [
        f"{quoted(name)} {database.sql_type(dataset.schema.field(name).type)}" for name in dataset.keys
    ]
    database.execute(f"DROP TABLE IF EXISTS {table}")
    definition = ", ".join([*columns, *more, f"PRIMARY KEY ({', '.join(_names(dataset))})"])
    database.execute(f"CREATE TEMP TABLE {table} ({definition})")


def write_keys(database: Database, dataset: Dataset, table: str, keys: pa.RecordBatch) -> None:
    """Write keys, in neutral types, to a new temporary table, each once."""
    distinct = pa.Table.from_batches([keys]).group_by(keys.schema.names).aggregate([])
    _create_keys(database, dataset, table)
    for batch in distinct.select(list(dataset.keys)).to_batches():
        database.append(table, database.encoded(batch))
