"""Merge rows into a dataset's table, delete what the source no longer has, keep the watermark."""

# pyarrow makes its compute functions at run time, where a type checker cannot see them.
# pyright: reportAttributeAccessIssue=false

from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from notebook_pipeline.database import Database, quoted
from notebook_pipeline.datasets import Dataset
from notebook_pipeline.errors import DataRefused

Source = Literal["bulk", "api"]


@dataclass(frozen=True)
class MergeCounts:
    """Count what became of the rows that were merged: each is in exactly one of the four."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0

    def __add__(self, other: "MergeCounts") -> "MergeCounts":
        return MergeCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def total(self) -> int:
        """Return how many rows were merged."""
        return sum(astuple(self))


class Merge:
    """Merge batches of good rows into a dataset's table, inside the caller's transaction.

    An incoming row wins if its cursor is newer, or equal and not (incoming from bulk, stored from
    the API); between rows of one source the later extraction wins. `place` is the run whose
    extraction the rows come from: the run itself, or for replayed rows the run that first read them.

    A row's own place is its `_run_id`, unless table `row_place` says otherwise. It does so for rows
    written by a replay, and for rows confirmed without a change while a rejected version of them may
    still be replayed; everything else would cost a write per unchanged row.
    """

    def __init__(
        self, database: Database, dataset: Dataset, *, run_id: str, source: Source, place: str = ""
    ) -> None:
        self.database = database
        self.dataset = dataset
        self.run_id = run_id
        self.source: Source = source
        self.place = place or run_id
        self._max_key = database.execute(f"SELECT max({self._key}) FROM {self._table}")[0][0]
        self._has_tombstones = self._exists("deleted_row")
        self._has_places = self._exists("row_place")
        self._create_temporary_tables()

    def add(self, batch: pa.RecordBatch) -> MergeCounts:
        """Merge one batch, its columns those of the dataset in stored types, and count the outcomes."""
        if not batch.num_rows:
            return MergeCounts()
        if self._appends(batch):
            return self._append(batch)
        return sum((self._stage(part) for part in _distinct_parts(batch, self.dataset.key)), MergeCounts())

    @property
    def _table(self) -> str:
        return quoted(self.dataset.name)

    @property
    def _key(self) -> str:
        return quoted(self.dataset.key)

    @property
    def _columns(self) -> list[str]:
        return [quoted(name) for name in self.dataset.schema.names]

    def _exists(self, table: str) -> bool:
        sql = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE dataset = ?)"
        return bool(self.database.execute(sql, [self.dataset.name])[0][0])

    def _create_temporary_tables(self) -> None:
        for name in ("staged", "verdict", "awaited"):
            self.database.execute(f"DROP TABLE IF EXISTS temp.{name}")
        key_type = (
            "INTEGER" if pa.types.is_integer(self.dataset.schema.field(self.dataset.key).type) else "TEXT"
        )
        columns = ", ".join(
            f"{name} {key_type} PRIMARY KEY" if name == self._key else name for name in self._columns
        )
        self.database.execute(f"CREATE TEMP TABLE staged ({columns})")
        self.database.execute(f"CREATE TEMP TABLE verdict (key {key_type} PRIMARY KEY, outcome TEXT)")
        self.database.execute(f"CREATE TEMP TABLE awaited (key {key_type} PRIMARY KEY)")
        # The keys of rejected rows that a replay may still bring back.
        self.database.execute(
            f"""INSERT OR IGNORE INTO awaited
            SELECT CAST(json_extract("row", ?) AS {key_type}) FROM rejected_row
            WHERE dataset = ? AND json_valid("row") AND json_extract("row", ?) IS NOT NULL""",
            [f"$.{self.dataset.key}", self.dataset.name, f"$.{self.dataset.key}"],
        )
        self._has_awaited = bool(self.database.execute("SELECT EXISTS (SELECT 1 FROM awaited)")[0][0])

    def _appends(self, batch: pa.RecordBatch) -> bool:
        """Say whether every key is new: ascending, and beyond the table's last; needs no look-up."""
        keys = batch.column(self.dataset.key)
        if self._has_tombstones or self.place != self.run_id:
            return False
        if self._max_key is not None and keys[0].as_py() <= self._max_key:
            return False
        return batch.num_rows == 1 or pc.all(pc.less(keys[:-1], keys[1:])).as_py()

    def _append(self, batch: pa.RecordBatch) -> MergeCounts:
        rows = batch.num_rows
        marked = pa.record_batch(
            [
                *batch.columns,
                pa.repeat(pa.scalar(self.run_id), rows),
                pa.repeat(pa.scalar(self.source), rows),
            ],
            names=[*self.dataset.schema.names, "_run_id", "_source"],
        )
        marks = ", ".join("?" * marked.num_columns)
        columns = ", ".join([*self._columns, "_run_id", "_source"])
        self.database.write(f"INSERT INTO {self._table} ({columns}) VALUES ({marks})", marked)
        self._max_key = batch.column(self.dataset.key)[-1].as_py()
        return MergeCounts(inserted=rows)

    def _stage(self, batch: pa.RecordBatch) -> MergeCounts:
        """Judge every row of a batch of distinct keys against the table, then write the winners."""
        self.database.execute("DELETE FROM staged")
        self.database.execute("DELETE FROM verdict")
        marks = ", ".join("?" * batch.num_columns)
        self.database.write(f"INSERT INTO staged VALUES ({marks})", batch)
        self._judge()
        outcomes = dict(self.database.execute("SELECT outcome, count(*) FROM verdict GROUP BY outcome"))
        inserted, updated, stale = (outcomes.get(name, 0) for name in ("inserted", "updated", "stale"))
        if inserted or updated:
            self._upsert()
        if outcomes.get("adopted"):
            self.database.execute(
                f"UPDATE {self._table} SET _source = ? WHERE {self._key} IN "
                "(SELECT key FROM verdict WHERE outcome = 'adopted')",
                [self.source],
            )
        self._keep_places()
        if inserted:
            highest = pc.max(batch.column(self.dataset.key)).as_py()
            self._max_key = highest if self._max_key is None else max(self._max_key, highest)
        return MergeCounts(inserted, updated, batch.num_rows - inserted - updated - stale, stale)

    def _judge(self) -> None:
        """Fill `verdict` with every staged key whose row is not simply unchanged."""
        cursor = quoted(self.dataset.cursor)
        same = " AND ".join(f"s.{name} IS p.{name}" for name in self._columns)
        self.database.execute(
            f"""INSERT INTO verdict SELECT key, outcome FROM (
                SELECT s.{self._key} AS key, CASE
                    WHEN p.{self._key} IS NULL THEN
                        CASE WHEN d.cursor IS NULL OR s.{cursor} > d.cursor THEN 'inserted' ELSE 'stale' END
                    WHEN s.{cursor} < p.{cursor} THEN 'stale'
                    WHEN s.{cursor} = p.{cursor} AND ? = 'bulk' AND p._source = 'api' THEN 'stale'
                    WHEN s.{cursor} = p.{cursor} AND p._source = ?
                        AND ? < coalesce(r.place, p._run_id) THEN 'stale'
                    WHEN {same} THEN CASE WHEN p._source = ? THEN 'unchanged' ELSE 'adopted' END
                    ELSE 'updated' END AS outcome
                FROM staged s LEFT JOIN {self._table} p ON p.{self._key} = s.{self._key}
                {self._joined("deleted_row", "d", self._has_tombstones, "cursor")}
                {self._joined("row_place", "r", self._has_places, "place")}
            ) WHERE outcome <> 'unchanged'""",
            [self.source, self.source, self.place, self.source],
        )

    def _joined(self, table: str, alias: str, wanted: bool, column: str) -> str:
        """Join a bookkeeping table by dataset and key, or nothing where it has no row for the dataset."""
        if not wanted:
            return f"LEFT JOIN (SELECT NULL AS {column}) {alias} ON false"
        return (
            f"LEFT JOIN {table} {alias} ON {alias}.dataset = '{self.dataset.name}' "
            f"AND {alias}.key = CAST(s.{self._key} AS TEXT)"
        )

    def _upsert(self) -> None:
        columns = ", ".join([*self._columns, "_run_id", "_source"])
        changes = ", ".join(
            f"{name} = excluded.{name}"
            for name in [*self._columns, "_run_id", "_source"]
            if name != self._key
        )
        self.database.execute(
            f"""INSERT INTO {self._table} ({columns})
            SELECT {", ".join("s." + name for name in self._columns)}, ?, ?
            FROM verdict v JOIN staged s ON s.{self._key} = v.key
            WHERE v.outcome IN ('inserted', 'updated')
            ON CONFLICT ({self._key}) DO UPDATE SET {changes}""",
            [self.run_id, self.source],
        )

    def _keep_places(self) -> None:
        """Note a winner's place where it differs from the `_run_id` of its row; forget it elsewhere."""
        written = "SELECT CAST(key AS TEXT) AS key FROM verdict WHERE outcome IN ('inserted', 'updated')"
        if self.place != self.run_id:
            self._save_places(written)
        elif self._has_places:
            self.database.execute(
                f"DELETE FROM row_place WHERE dataset = ? AND key IN ({written})",
                [self.dataset.name],
            )
        if self._has_awaited:
            self._save_places(
                f"""SELECT CAST(s.{self._key} AS TEXT) AS key
                FROM staged s JOIN awaited a ON a.key = s.{self._key}
                LEFT JOIN verdict v ON v.key = s.{self._key}
                WHERE coalesce(v.outcome, 'adopted') = 'adopted'"""
            )

    def _save_places(self, keys: str) -> None:
        saved = self.database.execute(
            f"""INSERT INTO row_place (dataset, key, place) SELECT ?, key, ? FROM ({keys}) WHERE true
            ON CONFLICT (dataset, key) DO UPDATE SET place = excluded.place RETURNING 1""",
            [self.dataset.name, self.place],
        )
        self._has_places = self._has_places or bool(saved)


def find_missing(database: Database, dataset: Dataset, present: pa.Array) -> pa.Table:
    """Return key and cursor of the stored rows whose key is not among those `present` at the source."""
    key, cursor = quoted(dataset.key), quoted(dataset.cursor)
    key_type = "INTEGER" if pa.types.is_integer(present.type) else "TEXT"
    database.execute("DROP TABLE IF EXISTS temp.present")
    database.execute(f"CREATE TEMP TABLE present (key {key_type} PRIMARY KEY)")
    database.write("INSERT OR IGNORE INTO present VALUES (?)", pa.table({"key": present}))
    return database.query(
        f"""SELECT {key} AS "key", {cursor} AS "cursor" FROM {quoted(dataset.name)}
        WHERE {key} NOT IN (SELECT key FROM present) ORDER BY {key}"""
    )


def delete_rows(
    database: Database, dataset: Dataset, missing: pa.Table, *, run_id: str, max_percent: float
) -> int:
    """Delete rows by key, leaving a tombstone each, and return how many.

    Raises DataRefused, nothing deleted, where they are more than `max_percent` of the table.
    """
    table = quoted(dataset.name)
    stored = database.execute(f"SELECT count(*) FROM {table}")[0][0]
    if missing.num_rows > stored * max_percent / 100:
        raise DataRefused(
            f"{dataset.name}: the source no longer has {missing.num_rows} of {stored} rows, more than "
            f"max_deleted_percent = {max_percent} allows; nothing was deleted. Look at the source; if the "
            "rows are truly gone, run again with a higher max_deleted_percent"
        )
    tombstones = pa.table(
        {
            "dataset": pa.repeat(pa.scalar(dataset.name), missing.num_rows),
            "key": missing["key"].cast(pa.string()),
            "cursor": missing["cursor"],
            "run_id": pa.repeat(pa.scalar(run_id), missing.num_rows),
        }
    )
    database.write(
        """INSERT INTO deleted_row VALUES (?, ?, ?, ?) ON CONFLICT (dataset, key)
        DO UPDATE SET cursor = excluded.cursor, run_id = excluded.run_id""",
        tombstones,
    )
    database.write(f"DELETE FROM {table} WHERE {quoted(dataset.key)} = ?", missing.select(["key"]))
    return missing.num_rows


def read_watermark(database: Database, dataset: str, source: Source) -> str | None:
    """Return the newest cursor merged from this source, or None before its first run."""
    rows = database.execute("SELECT value FROM watermark WHERE dataset = ? AND source = ?", [dataset, source])
    return rows[0][0] if rows else None


def save_watermark(
    database: Database, dataset: str, source: Source, value: str, *, run_id: str, now: str
) -> None:
    """Move the watermark forward to `value`; it never goes back."""
    database.execute(
        """INSERT INTO watermark VALUES (?, ?, ?, ?, ?) ON CONFLICT (dataset, source) DO UPDATE SET
        value = excluded.value, run_id = excluded.run_id, updated_at = excluded.updated_at
        WHERE excluded.value > watermark.value""",
        [dataset, source, value, run_id, now],
    )


def _distinct_parts(batch: pa.RecordBatch, key: str) -> list[pa.RecordBatch]:
    """Cut a batch so that each part holds a key once, every key's versions staying in their order."""
    codes = batch.column(key).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    first = np.r_[True, codes[order][1:] != codes[order][:-1]]
    starts = np.maximum.accumulate(np.where(first, np.arange(len(codes)), 0))
    occurrence = np.empty(len(codes), dtype=np.int64)
    occurrence[order] = np.arange(len(codes)) - starts
    if not occurrence.any():
        return [batch]
    return [batch.filter(pa.array(occurrence == turn)) for turn in range(occurrence.max() + 1)]
