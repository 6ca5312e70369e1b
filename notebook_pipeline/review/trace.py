"""The origin of a row: the run that last changed it, and what that run read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from notebook_pipeline.contract.columns import from_values
from notebook_pipeline.contract.source_kind import BULK_MARK
from notebook_pipeline.declare import Dataset
from notebook_pipeline.declare.catalogue import get
from notebook_pipeline.errors import UsageError
from notebook_pipeline.review.queries import artefact
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.keys import key_text


@dataclass(frozen=True)
class Trace:
    """A row and the run that last changed it; `row` is None if that run deleted it.

    `is_foreign` is True if no run wrote the row, but another program; then there is no run, either.
    `confirmed_by` is the live source that has sent an identical row since a bulk load inserted it.
    `extracted_by` is the earlier run that rejected the row, if a replay inserted it.
    """

    table: str
    key: str
    row: dict[str, Any] | None
    run: dict[str, Any] | None
    confirmed_by: str | None = None
    extracted_by: str | None = None

    @property
    def is_foreign(self) -> bool:
        """Return True if another program wrote the row."""
        return self.row is not None and self.row["_run_id"] is None

    def to_json(self) -> dict[str, Any]:
        """Return the trace as JSON types."""
        return {
            "table": self.table,
            "key": self.key,
            "row": self.row,
            "deleted": self.row is None,
            "written_by_another_program": self.is_foreign,
            "run": self.run,
            "confirmed_by": self.confirmed_by,
            "extracted_by": self.extracted_by,
            "artifact": artefact(self.run) if self.run else None,
        }


def trace_row(database: Database, table: str, key: str | Sequence[str]) -> Trace | None:
    """Return where the row with this key comes from, or None if no run ever wrote it.

    A key of several columns is a sequence of their values, or a JSON list of these as text. Raises UsageError
    if the table is unknown or the key does not fit.
    """
    dataset = get(table)
    values = _values(dataset, key)
    if dataset.name not in database.relations():
        return None
    bound = [database.bound(value) for value in values]
    same = " AND ".join(
        f"{quoted(name)} = {place}" for name, (place, _) in zip(dataset.keys, bound, strict=True)
    )
    stored = [value for _, value in bound]
    rows = database.query(f"SELECT * FROM {quoted(dataset.name)} WHERE {same}", stored).to_pylist()
    named = ", ".join(
        f"{place} AS {quoted(name)}" for name, (place, _) in zip(dataset.keys, bound, strict=True)
    )
    # The text under which deletions are recorded is made by the database.
    [[text]] = database.execute(f"SELECT {key_text(database, dataset, 'k')} FROM (SELECT {named}) k", stored)
    return _living(database, table, text, rows[0]) if rows else _deleted(database, table, text)


def _living(database: Database, table: str, key: str, row: dict[str, Any]) -> Trace:
    if row["_run_id"] is None:
        return Trace(table, key, row, None, confirmed_by=_live(row["_source"]))
    run = _run(database, row["_run_id"])
    extracted = database.execute(
        "SELECT source, place, is_replay FROM extraction WHERE run_id = ?", [row["_run_id"]]
    )
    source, place, is_replay = extracted[0] if extracted else (row["_source"], "", 0)
    return Trace(
        table,
        key,
        row,
        run,
        confirmed_by=row["_source"] if row["_source"] != source else None,
        extracted_by=_first_reader(database, table, place) if is_replay else None,
    )


def _first_reader(database: Database, table: str, place: str) -> str | None:
    """Return the run that first read, and rejected, the rows of a replay."""
    rows = database.execute(
        "SELECT run_id FROM extraction WHERE dataset = ? AND place = ? AND is_replay = 0", [table, place]
    )
    return rows[0][0] if rows else None


def _live(source: str | None) -> str | None:
    """Return a row's source if it is a live one; a row without a source counts as one of a bulk file."""
    return None if source == BULK_MARK else source


def _deleted(database: Database, table: str, key: str) -> Trace | None:
    tombstones = database.execute(
        "SELECT run_id FROM deleted_row WHERE dataset = ? AND key = ?", [table, key]
    )
    return Trace(table, key, None, _run(database, tombstones[0][0])) if tombstones else None


def _run(database: Database, run_id: str) -> dict[str, Any] | None:
    rows = database.query("SELECT * FROM pipeline_run WHERE run_id = ?", [run_id]).to_pylist()
    return rows[0] if rows else None


def _values(dataset: Dataset, key: str | Sequence[str]) -> list[object]:
    """Return the values of the key's columns; raise UsageError if they do not fit."""
    parts: Sequence[object] = [key] if isinstance(key, str) else key
    if len(parts) == 1 and len(dataset.keys) > 1:
        try:
            parts = json.loads(str(parts[0]))
        except ValueError:
            parts = []
    if not isinstance(parts, Sequence) or len(parts) != len(dataset.keys):
        raise UsageError(
            f"{dataset.name} has the key {', '.join(dataset.keys)}; expected a value for each column, or a "
            f"JSON list such as '[1,2]', got {key!r}"
        )
    return [_value(dataset, name, part) for name, part in zip(dataset.keys, parts, strict=True)]


def _value(dataset: Dataset, name: str, part: object) -> object:
    kind = dataset.column(name).type
    found = from_values([part], kind, from_text=True).values[0].as_py()
    if found is None:
        what = "a whole number" if pa.types.is_integer(kind) else f"a value of {kind}"
        raise UsageError(f"{dataset.name}.{name} must be {what}, got {part!r}")
    return found
