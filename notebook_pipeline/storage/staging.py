"""Merging a batch through temporary tables: the merge rule decides each row, then the winners are written."""

from collections import Counter

import pyarrow as pa

from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, literal, quoted
from notebook_pipeline.storage.extraction_order import Notes
from notebook_pipeline.storage.merge_rule import Circumstances, outcome
from notebook_pipeline.storage.tables import sql_type


class Staging:
    """The temporary tables for one batch at a time, whose keys must be distinct and sorted."""

    def __init__(self, database: Database, dataset: Dataset, *, run_id: str, found: Circumstances) -> None:
        self._database = database
        self._table, self._key = quoted(dataset.name), quoted(dataset.key)
        self._columns = [quoted(name) for name in dataset.schema.names]
        self._marks = [literal(run_id), literal(found.origin.source)]
        self._notes = Notes(database, dataset, found.place, is_replay=found.origin.is_replay)
        self._fill_outcomes, self._values = self._outcome_query(dataset, found)
        self._create_tables(dataset)

    @property
    def has_notes(self) -> bool:
        """Return True if `row_place` has entries, which must be deleted when their rows are written."""
        return self._notes.has_notes

    def merge(self, batch: pa.RecordBatch) -> Counter[str]:
        """Merge the batch and count the outcomes."""
        self._database.empty("_staged")
        self._database.append("_staged", batch)
        outcomes = self._count_outcomes()
        while not self._upsert(outcomes["inserted"] + outcomes["updated"]):
            outcomes = self._count_outcomes()
        outcomes["unchanged"] = batch.num_rows - outcomes.total()
        if outcomes["inserted"] or outcomes["updated"]:
            self._notes.forget("SELECT key FROM _verdict WHERE outcome IN ('inserted', 'updated')")
        if outcomes["adopted"]:
            self._adopt()
        if outcomes["unchanged"] or outcomes["adopted"]:
            self._notes.confirm(
                f"""SELECT s.{self._key} AS key FROM _staged s LEFT JOIN _verdict v ON v.key = s.{self._key}
                WHERE coalesce(v.outcome, 'adopted') = 'adopted'"""
            )
        return outcomes

    def _count_outcomes(self) -> Counter[str]:
        """Apply the merge rule to the staged rows; return the counts of all outcomes but unchanged."""
        self._database.empty("_verdict")
        self._database.execute(self._fill_outcomes, self._values)
        return Counter(dict(self._database.execute("SELECT outcome, count(*) FROM _verdict GROUP BY 1")))

    def _create_tables(self, dataset: Dataset) -> None:
        # No dataset's name begins with _, so these never hide a dataset's table.
        types = {name: sql_type(kind) for name, kind in zip(self._columns, dataset.schema.types, strict=True)}
        columns = [
            f"{name} {kind}" + (" PRIMARY KEY" if name == self._key else "") for name, kind in types.items()
        ]
        definitions = {
            "_staged": ", ".join(columns),
            "_verdict": f"key {types[self._key]} PRIMARY KEY, outcome TEXT, seen TEXT",
        }
        for name, definition in definitions.items():
            self._database.execute(f"DROP TABLE IF EXISTS {name}")
            self._database.define(f"CREATE TEMP TABLE {name} ({definition})")

    def _outcome_query(self, dataset: Dataset, found: Circumstances) -> tuple[str, list]:
        """Return the SQL that fills `_verdict` with the outcome of every row but the unchanged ones."""
        rule, values = outcome(self._database, dataset, found)
        seen = "p._run_id" if self._database.is_shared else "NULL"
        tombstones = f"""LEFT JOIN deleted_row d ON d.dataset = {literal(dataset.name)}
            AND d.key = CAST(s.{self._key} AS TEXT)"""
        return (
            f"""INSERT INTO _verdict SELECT key, outcome, seen FROM (
                SELECT s.{self._key} AS key, {rule} AS outcome, {seen} AS seen
                FROM _staged s LEFT JOIN {self._table} p ON p.{self._key} = s.{self._key}
                {tombstones if found.has_tombstones else ""}
            ) compared WHERE outcome <> 'unchanged'""",
            values,
        )

    def _upsert(self, winners: int) -> bool:
        """Write the winners; return False, with none written, if another writer has changed one meanwhile.

        Rows are written in the order of their keys to avoid deadlocks between writers.
        """
        names = [*self._columns, "_run_id", "_source"]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != self._key)
        order, if_unchanged = "", ""
        if self._database.is_shared:
            order = "ORDER BY v.key"
            seen = f"(SELECT seen FROM _verdict WHERE key = excluded.{self._key})"
            if_unchanged = f"WHERE {self._table}._run_id IS NOT DISTINCT FROM {seen}"
        return not winners or self._database.upsert(
            f"""INSERT INTO {self._table} ({", ".join(names)})
            SELECT {", ".join(["s." + name for name in self._columns] + self._marks)}
            FROM _verdict v JOIN _staged s ON s.{self._key} = v.key
            WHERE v.outcome IN ('inserted', 'updated') {order}
            ON CONFLICT ({self._key}) DO UPDATE SET {changes} {if_unchanged}""",
            winners,
        )

    def _adopt(self) -> None:
        adopted = "SELECT key FROM _verdict WHERE outcome = 'adopted'"
        source = self._marks[1]
        self._database.execute(
            f"UPDATE {self._table} SET _source = {source} WHERE {self._key} IN ({adopted})"
        )
