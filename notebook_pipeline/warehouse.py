"""Merge rows into a dataset's table by the merge rule, and keep the watermark."""

# pyarrow makes its compute functions at run time, where a type checker cannot see them.
# pyright: reportAttributeAccessIssue=false

from dataclasses import astuple, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from notebook_pipeline import deletions, places
from notebook_pipeline.batches import Origin
from notebook_pipeline.database import Database, Value, quoted
from notebook_pipeline.datasets import Dataset
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.tables import sql_type


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

    An incoming row wins if its cursor is newer, or equal and not (incoming from bulk, stored from the
    API); between rows of one source the one extracted later wins, which `place` decides (see places.py).
    """

    def __init__(
        self, database: Database, dataset: Dataset, *, run_id: str, origin: Origin, place: str
    ) -> None:
        self._database = database
        self._dataset = dataset
        self._run_id = run_id
        self._source = origin.source
        self._place = place
        self._is_behind = places.is_behind(database, dataset.name, run_id, origin, place)
        self._notes = places.Notes(database, dataset, place, is_replay=origin.is_replay)
        self._sweep = deletions.last_sweep(database, dataset.name)
        self._has_tombstones = deletions.has_tombstones(database, dataset.name)
        self._can_append = not (origin.is_replay or self._sweep or self._has_tombstones)
        self._max_key = database.execute(f"SELECT max({self._key}) FROM {self._table}")[0][0]
        self._create_temporary_tables()

    def add(self, batch: pa.RecordBatch) -> MergeCounts:
        """Merge one batch, its columns those of the dataset in stored types, and count the outcomes."""
        if not batch.num_rows:
            return MergeCounts()
        if batch.column(self._dataset.key).null_count:
            raise PipelineError(f"{self._dataset.name}: a row without {self._dataset.key} cannot be merged")
        if self._can_append and self._is_beyond(batch.column(self._dataset.key)):
            return self._append(batch)
        return sum((self._stage(part) for part in distinct_parts(batch, self._dataset.key)), MergeCounts())

    @property
    def _table(self) -> str:
        return quoted(self._dataset.name)

    @property
    def _key(self) -> str:
        return quoted(self._dataset.key)

    @property
    def _columns(self) -> list[str]:
        return [quoted(name) for name in self._dataset.schema.names]

    def _create_temporary_tables(self) -> None:
        # No dataset's name begins with _, so that these never hide a dataset's table.
        types = [sql_type(kind) for kind in self._dataset.schema.types]
        columns = [f"{name} {kind}" for name, kind in zip(self._columns, types, strict=True)]
        keyed = [
            f"{column} PRIMARY KEY" if column.startswith(f"{self._key} ") else column for column in columns
        ]
        key = types[self._dataset.schema.get_field_index(self._dataset.key)]
        for name, definition in (
            ("_staged", ", ".join(keyed)),
            ("_verdict", f"key {key} PRIMARY KEY, outcome TEXT"),
        ):
            self._database.execute(f"DROP TABLE IF EXISTS temp.{name}")
            self._database.execute(f"CREATE TEMP TABLE {name} ({definition})")

    def _is_beyond(self, keys: pa.Array) -> bool:
        """Say whether the keys ascend and begin after the table's last: then all are new, unseen."""
        if self._max_key is not None and keys[0].as_py() <= self._max_key:
            return False
        return pc.all(pc.less(keys[:-1], keys[1:]), min_count=0).as_py()

    def _append(self, batch: pa.RecordBatch) -> MergeCounts:
        marks = [pa.repeat(pa.scalar(mark), batch.num_rows) for mark in (self._run_id, self._source)]
        names = [*self._dataset.schema.names, "_run_id", "_source"]
        columns = ", ".join(quoted(name) for name in names)
        holes = ", ".join("?" * len(names))
        self._database.write(
            f"INSERT INTO {self._table} ({columns}) VALUES ({holes})",
            pa.record_batch([*batch.columns, *marks], names=names),
        )
        self._max_key = batch.column(self._dataset.key)[-1].as_py()
        return MergeCounts(inserted=batch.num_rows)

    def _stage(self, batch: pa.RecordBatch) -> MergeCounts:
        """Judge every row of a batch of distinct keys against the table, then write the winners."""
        self._database.execute("DELETE FROM _staged")
        self._database.execute("DELETE FROM _verdict")
        self._database.write(f"INSERT INTO _staged VALUES ({', '.join('?' * batch.num_columns)})", batch)
        self._judge()
        found = dict(self._database.execute("SELECT outcome, count(*) FROM _verdict GROUP BY outcome"))
        inserted, updated, stale = (found.get(outcome, 0) for outcome in ("inserted", "updated", "stale"))
        if inserted or updated:
            self._upsert()
        if found.get("adopted"):
            self._adopt()
        self._notes.forget("SELECT key FROM _verdict WHERE outcome IN ('inserted', 'updated')")
        self._notes.confirm(
            f"""SELECT s.{self._key} AS key FROM _staged s LEFT JOIN _verdict v ON v.key = s.{self._key}
            WHERE coalesce(v.outcome, 'adopted') = 'adopted'"""
        )
        if inserted:
            keys = [pc.max(batch.column(self._dataset.key)).as_py(), self._max_key]
            self._max_key = max(key for key in keys if key is not None)
        return MergeCounts(inserted, updated, batch.num_rows - inserted - updated - stale, stale)

    def _judge(self) -> None:
        """Fill `_verdict` with every staged key whose row is not simply unchanged."""
        outcome, values = self._outcome()
        tombstones = (
            f"""LEFT JOIN deleted_row d ON d.dataset = '{self._dataset.name}'
            AND d.key = CAST(s.{self._key} AS TEXT)"""
            if self._has_tombstones
            else ""
        )
        self._database.execute(
            f"""INSERT INTO _verdict SELECT key, outcome FROM (
                SELECT s.{self._key} AS key, CASE {outcome} END AS outcome
                FROM _staged s LEFT JOIN {self._table} p ON p.{self._key} = s.{self._key} {tombstones}
            ) WHERE outcome <> 'unchanged'""",
            values,
        )

    def _outcome(self) -> tuple[str, list[Value]]:
        """Return the merge rule as SQL over staged row s, stored row p and tombstone d, with its values."""
        cursor = quoted(self._dataset.cursor)
        same = " AND ".join(f"s.{name} IS p.{name}" for name in self._columns)
        rules: list[tuple[str, list[Value]]] = []
        if self._has_tombstones:
            known = "" if self._source == "bulk" else "AND ? < d.run_id"
            rules.append(
                (f"WHEN s.{cursor} <= d.cursor {known} THEN 'stale'", [self._place] if known else [])
            )
        if self._sweep and (self._source == "bulk" or self._place < self._sweep.run_id):
            rules.append(
                (
                    f"""WHEN p.{self._key} IS NULL AND s.{cursor} <= ?
                    AND s.{self._key} NOT IN (SELECT value FROM json_each(?)) THEN 'stale'""",
                    [self._sweep.cursor, self._sweep.spared],
                )
            )
        rules.append((f"WHEN p.{self._key} IS NULL THEN 'inserted'", []))
        rules.append((f"WHEN s.{cursor} < p.{cursor} THEN 'stale'", []))
        if self._source == "bulk":
            rules.append((f"WHEN s.{cursor} = p.{cursor} AND p._source = 'api' THEN 'stale'", []))
        if self._is_behind:
            later = places.stored_place(self._dataset, f"s.{self._key}")
            rules.append(
                (
                    f"WHEN s.{cursor} = p.{cursor} AND p._source = ? AND ? < {later} THEN 'stale'",
                    [self._source, self._place],
                )
            )
        rules.append(
            (f"WHEN {same} THEN CASE WHEN p._source = ? THEN 'unchanged' ELSE 'adopted' END", [self._source])
        )
        rules.append(("ELSE 'updated'", []))
        return "\n".join(rule for rule, _ in rules), [value for _, values in rules for value in values]

    def _upsert(self) -> None:
        names = [*self._columns, "_run_id", "_source"]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != self._key)
        self._database.execute(
            f"""INSERT INTO {self._table} ({", ".join(names)})
            SELECT {", ".join("s." + name for name in self._columns)}, ?, ?
            FROM _verdict v JOIN _staged s ON s.{self._key} = v.key
            WHERE v.outcome IN ('inserted', 'updated')
            ON CONFLICT ({self._key}) DO UPDATE SET {changes}""",
            [self._run_id, self._source],
        )

    def _adopt(self) -> None:
        """Mark rows that the API has confirmed as the API's."""
        self._database.execute(
            f"UPDATE {self._table} SET _source = ? WHERE {self._key} IN "
            "(SELECT key FROM _verdict WHERE outcome = 'adopted')",
            [self._source],
        )


def read_watermark(database: Database, dataset: str, source: str) -> str | None:
    """Return the newest cursor merged from this source, or None before its first run."""
    rows = database.execute("SELECT value FROM watermark WHERE dataset = ? AND source = ?", [dataset, source])
    return rows[0][0] if rows else None


def save_watermark(
    database: Database, dataset: str, source: str, value: str, *, run_id: str, now: str
) -> None:
    """Move the watermark forward to `value`; it never goes back."""
    database.execute(
        """INSERT INTO watermark VALUES (?, ?, ?, ?, ?) ON CONFLICT (dataset, source) DO UPDATE SET
        value = excluded.value, run_id = excluded.run_id, updated_at = excluded.updated_at
        WHERE excluded.value > watermark.value""",
        [dataset, source, value, run_id, now],
    )


def distinct_parts(batch: pa.RecordBatch, key: str) -> list[pa.RecordBatch]:
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
