"""Merging a batch through temporary tables: the merge rule decides each row, then the winners are written."""

from collections import Counter

import numpy as np
import pyarrow as pa

from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage.database import Database, literal, quoted
from notebook_pipeline.storage.extraction_order import Notes
from notebook_pipeline.storage.key_order import key_of
from notebook_pipeline.storage.keys import key_text
from notebook_pipeline.storage.merge_counts import MergeCounts
from notebook_pipeline.storage.merge_rule import Circumstances, outcome, recorded_joins
from notebook_pipeline.storage.parent_rows import stays
from notebook_pipeline.storage.versions import merge_versions

# Keys that are shown as examples of repeated or older rows.
EXAMPLES = 5
# How often a batch is compared again because another writer has changed one of its rows meanwhile.
ROUNDS = 20


class Staging:
    """The temporary tables for one batch at a time, which must be in the order of its keys.

    `noted` counts the rows with an outcome that is worth a note, `repeated` or `older`; `examples` has the
    keys of the first ones. Several at a time have tables with different `suffix`es.
    """

    def __init__(
        self, database: Database, dataset: Dataset, found: Circumstances, *, suffix: str = ""
    ) -> None:
        # No dataset's name begins with _, so these never hide a dataset's table.
        self._staged, self._outcome = f"_staged{suffix}", f"_outcome{suffix}"
        self._database = database
        self._dataset = dataset
        self._found = found
        self._table = quoted(dataset.name)
        self._keys = [quoted(name) for name in dataset.keys]
        self._columns = [quoted(name) for name in dataset.schema.names]
        self._marks = [literal(found.run_id), literal(found.origin.source)]
        self._notes = Notes(database, dataset, found.run_id, found.place, found.origin)
        self._compare, self._values = self._comparison()
        self.noted: Counter[str] = Counter()
        self.examples: dict[str, list[tuple]] = {"repeated": [], "older": []}
        self._create_tables()

    @property
    def has_notes(self) -> bool:
        """Return True if `row_place` has entries, which must be deleted when their rows are written."""
        return self._notes.has_notes

    @property
    def notes_all(self) -> bool:
        """Return True if every confirmed row gets an entry in `row_place`."""
        return self._notes.notes_all

    def merge(self, batch: pa.RecordBatch, *, has_versions: bool = False) -> MergeCounts:
        """Merge the batch, in stored form, and count the outcomes; with `has_versions`, keys may repeat."""
        self._database.empty(self._staged)
        numbered = batch.append_column("_seq", pa.array(range(len(batch)), pa.int64()))
        self._database.append(self._staged, numbered)
        outcomes = self._decided(batch, has_versions=has_versions)
        for _ in range(ROUNDS):
            if self._upsert():
                break
            outcomes = self._decided(batch, has_versions=has_versions)
        else:
            raise PipelineError(
                f"{self._dataset.name}: the database wrote fewer rows than it was given, {ROUNDS} times in a "
                "row; nothing was committed. If a trigger or a rule of the table drops rows, remove it; else "
                "other writers keep changing the same rows: run again when they are done"
            )
        # Every row in `_outcome` but the losers has a new place: it was written, or has become a live row.
        changed = "v.outcome IN ('inserted', 'updated', 'adopted')"
        self._notes.forget(
            f"""SELECT {key_text(self._database, self._dataset, "s")} FROM {self._staged} s
            JOIN {self._outcome} v ON v._seq = s._seq WHERE {changed}"""
        )
        if outcomes["adopted"]:
            self._adopt()
        if outcomes["unchanged"] or outcomes["adopted"]:
            self._notes.confirm(
                f"""FROM {self._staged} s JOIN {self._table} p ON {self._same_key("s", "p")}
                LEFT JOIN {self._outcome} v ON v._seq = s._seq
                WHERE coalesce(v.outcome, 'adopted') = 'adopted'"""
            )
        if self._found.accepted_until is not None:
            self._record_accepted(self._found.accepted_until)
        self.noted.update(repeated=outcomes["repeated"], older=outcomes["older"])
        return MergeCounts(
            inserted=outcomes["inserted"],
            updated=outcomes["updated"] + outcomes["repeated"],
            unchanged=outcomes["unchanged"] + outcomes["adopted"],
            stale=outcomes["stale"] + outcomes["older"],
        )

    def winners(self) -> list[int]:
        """Return the numbers of the rows merged last that hold: those written, and those that are stored.

        An identical stored row of a later reading, or of a live source where these rows are from a file, wins
        itself.
        """
        lost = f"SELECT _seq FROM {self._outcome} WHERE outcome IN ('stale', 'older')"
        if self._lasts is None:
            found = self._database.execute(f"SELECT _seq FROM {self._staged} WHERE _seq NOT IN ({lost})")
            self._lasts = [int(row) for (row,) in found]
        origin, place = self._found.origin, self._found.place
        stored = stays(self._database, self._dataset, "p", origin, place, is_behind=self._found.is_behind)
        if stored is None:
            return self._lasts
        condition, values = stored
        beaten = self._database.execute(
            f"""SELECT s._seq FROM {self._staged} s JOIN {self._table} p ON {self._same_key("s", "p")}
            WHERE {condition}""",
            values,
        )
        return sorted({*self._lasts} - {int(row) for (row,) in beaten})

    def _decided(self, batch: pa.RecordBatch, *, has_versions: bool) -> Counter[str]:
        """Apply the merge rule to the staged rows; return the counts of all outcomes.

        Afterwards `_outcome` has the rows to write and to adopt, each key once.
        """
        self._database.empty(self._outcome)
        self._lasts: list[int] | None = None
        if has_versions:
            self._database.execute(self._compare, self._values)
            return self._decided_in_order(batch)
        self._database.execute(f"{self._compare} WHERE outcome <> 'unchanged'", self._values)
        counted = self._database.execute(f"SELECT outcome, count(*) FROM {self._outcome} GROUP BY 1")
        outcomes = Counter({str(name): int(count) for name, count in counted})
        outcomes["unchanged"] = len(batch) - outcomes.total()
        for name in self.examples.keys() & outcomes.keys():
            first = f"SELECT _seq FROM {self._outcome} WHERE outcome = ? LIMIT ?"
            rows = self._database.execute(first, [name, EXAMPLES])
            self._keep_examples(batch, name, [int(row) for (row,) in rows])
        if outcomes["repeated"]:
            updated = f"UPDATE {self._outcome} SET outcome = 'updated' WHERE outcome = 'repeated'"
            self._database.execute(updated)
        return outcomes

    def _decided_in_order(self, batch: pa.RecordBatch) -> Counter[str]:
        """Follow the versions of each key, given the outcome of each against the stored row."""
        found = self._database.query(f"SELECT * FROM {self._outcome} ORDER BY _seq")
        alone = found["outcome"].to_numpy()
        is_bulk = not self._found.origin.kind.is_live
        merged = merge_versions(batch, self._dataset.keys, self._dataset.cursor, alone, is_bulk=is_bulk)
        self._lasts = merged.lasts
        self._keep_examples(batch, "repeated", merged.repeated)
        self._keep_examples(batch, "older", np.flatnonzero(alone == "older").tolist())
        self._database.empty(self._outcome)
        kept = found.take(pa.array(list(merged.winners), pa.int64()))
        place = kept.schema.get_field_index("outcome")
        outcomes = pa.array(list(merged.winners.values()), pa.string())
        self._database.append(self._outcome, kept.set_column(place, "outcome", outcomes))
        return merged.outcomes

    def _keep_examples(self, batch: pa.RecordBatch, outcome: str, rows: list[int]) -> None:
        kept = self.examples[outcome]
        kept += [key_of(batch, self._dataset.keys, row) for row in rows[: EXAMPLES - len(kept)]]

    def _create_tables(self) -> None:
        fields = {quoted(field.name): field.type for field in self._dataset.schema}
        staged = [f"{name} {self._database.staged_type(kind)}" for name, kind in fields.items()]
        keys = [f"{name} {self._database.sql_type(fields[name])}" for name in self._keys]
        # In SQLite, only a column of the type INTEGER is the row's own number.
        number = f"_seq {self._database.sql_type(pa.int64())} PRIMARY KEY"
        definitions = {
            self._staged: [number, *staged],
            self._outcome: [number, "outcome TEXT", "seen TEXT"],
        }
        if self._database.is_shared:
            definitions[self._outcome] += keys
        for name, columns in definitions.items():
            self._database.execute(f"DROP TABLE IF EXISTS {name}")
            self._database.execute(f"CREATE TEMP TABLE {name} ({', '.join(columns)})")
        if self._database.is_shared:
            self._database.execute(f"CREATE INDEX ON {self._outcome} ({', '.join(self._keys)})")

    def _comparison(self) -> tuple[str, list]:
        """Return the SQL that fills `_outcome` with the outcome of every row."""
        rule, values = outcome(self._database, self._dataset, self._found)
        shared = self._database.is_shared
        keys = "".join(f", s.{name} AS {name}" for name in self._keys) if shared else ""
        seen = "p._run_id" if shared else "NULL"
        return (
            f"""INSERT INTO {self._outcome} SELECT * FROM (
                SELECT s._seq AS _seq, {rule} AS outcome, {seen} AS seen{keys}
                FROM {self._staged} s LEFT JOIN {self._table} p ON {self._same_key("s", "p")}
                {recorded_joins(self._database, self._dataset, self._found)}
            ) compared""",
            values,
        )

    def _upsert(self) -> bool:
        """Write the winners; return False, with none written, if another writer has changed one meanwhile.

        Rows are written in the order of their keys to avoid deadlocks between writers.
        """
        winners = f"""FROM {self._outcome} v JOIN {self._staged} s ON s._seq = v._seq
            WHERE v.outcome IN ('inserted', 'updated')"""
        expected = self._database.execute(f"SELECT count(*) {winners}")[0][0]
        names = [*self._columns, "_run_id", "_source"]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in self._keys)
        fields = {quoted(field.name): field.type for field in self._dataset.schema}
        values = [self._database.from_staged(f"s.{name}", kind) for name, kind in fields.items()]
        order, as_compared = "", ""
        if self._database.is_shared:
            order = "ORDER BY v._seq"
            same = " AND ".join(f"w.{name} = excluded.{name}" for name in self._keys)
            seen = f"(SELECT w.seen FROM {self._outcome} w WHERE {same})"
            as_compared = f"WHERE {self._table}._run_id IS NOT DISTINCT FROM {seen}"
        return not expected or self._database.upsert(
            f"""INSERT INTO {self._table} ({", ".join(names)})
            SELECT {", ".join([*values, *self._marks])} {winners} {order}
            ON CONFLICT ({", ".join(self._keys)}) DO UPDATE SET {changes} {as_compared}""",
            expected,
        )

    def _adopt(self) -> None:
        columns = ", ".join(f"s.{name}" for name in self._keys)
        adopted = f"""SELECT {columns} FROM {self._staged} s JOIN {self._outcome} v ON v._seq = s._seq
            WHERE v.outcome = 'adopted'"""
        self._database.execute(
            f"""UPDATE {self._table} SET _source = {self._marks[1]}
            WHERE ({", ".join(self._keys)}) IN ({adopted})"""
        )

    def _record_accepted(self, until: str) -> None:
        """Record of every staged key that the source had it like this, so that no older row changes it."""
        key = key_text(self._database, self._dataset, "s")
        self._database.execute(
            f"""INSERT INTO accepted_row (dataset, key, cursor, run_id) SELECT DISTINCT ?, {key}, ?, ?
            FROM {self._staged} s WHERE true ON CONFLICT (dataset, key)
            DO UPDATE SET cursor = excluded.cursor, run_id = excluded.run_id""",
            [self._dataset.name, until, self._found.run_id],
        )

    def _same_key(self, one: str, other: str) -> str:
        return " AND ".join(f"{one}.{name} = {other}.{name}" for name in self._keys)
