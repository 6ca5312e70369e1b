"""The order of extractions: of two live rows, or two bulk rows, with the same cursor the later one wins.

An extraction's place is a text that sorts in the order of extractions: the id of its run or, for a replay of
rejected rows, the place of the run that rejected them. The place of a stored row is the one in `row_place` if
it has one, else that of the run in its `_run_id`. A row gets a `row_place` if a later extraction confirmed it
without a change while a rejected version of it may still be replayed; to store one for every confirmed row
would cost a write each.
"""

from collections.abc import Sequence

import pyarrow as pa

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.source_kind import BULK_MARK, SourceKind
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage.database import Database, Value, literal
from notebook_pipeline.storage.keys import is_rejected, rejected_key


def take_place(database: Database, dataset: str, run_id: str, origin: Origin) -> str:
    """Return the place of a run's extraction; call it inside the transaction that merges the rows.

    A bulk load that waited for others comes after them, because its file is read inside its transaction.
    A live source was read earlier: raise PipelineError if another update was committed since this run began,
    because of two rows of the same day it is not known which was read later.
    """
    place = origin.place or run_id
    newest = _newest(database, dataset, run_id, origin, "AND is_replay = 0")
    if origin.is_replay:
        return place
    if not origin.kind.is_live:
        return place if newest < place else f"{newest}~"
    meanwhile = _newest(
        database,
        dataset,
        run_id,
        origin,
        "AND is_replay = 0 AND r.committed_at > (SELECT started_at FROM pipeline_run WHERE run_id = ?)",
        [run_id],
    )
    other = max(meanwhile, newest if newest > place else "")
    if other:
        raise PipelineError(
            f"{dataset}: another update, run {other}, was committed since this run began and may have read "
            "newer rows of the same day; nothing was merged. Run again"
        )
    return place


def save_extraction(database: Database, run_id: str, dataset: str, origin: Origin, place: str) -> None:
    """Record the source and the place of a run's extraction, inside the caller's transaction."""
    database.execute(
        """INSERT INTO extraction VALUES (?, ?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE SET
        source = excluded.source, place = excluded.place, is_replay = excluded.is_replay""",
        [run_id, dataset, origin.source, place, int(origin.is_replay)],
    )


def is_live(source: str) -> str:
    """Return the SQL condition that a stored row, whose `_source` is this SQL, is from a live source."""
    return f"{source} <> {literal(BULK_MARK)}"


def is_alike(source: str, kind: SourceKind) -> str:
    """Return the SQL condition that a `_source` and this kind are either both live or both bulk."""
    return is_live(source) if kind.is_live else f"{source} = {literal(BULK_MARK)}"


def is_behind(database: Database, dataset: str, run_id: str, origin: Origin, place: str) -> bool:
    """Return True if rows of a later extraction, live or bulk like this one, may already be stored."""
    return place < _newest(database, dataset, run_id, origin)


def stored_place(dataset: Dataset, key: str) -> str:
    """Return the SQL for the place of the stored row `p`; `key` is the SQL of its key."""
    noted = f"dataset = {literal(dataset.name)} AND key = CAST({key} AS TEXT)"
    return f"""coalesce((SELECT place FROM row_place WHERE {noted}),
        (SELECT place FROM extraction WHERE run_id = p._run_id), '')"""


def awaited_keys(database: Database, dataset: Dataset, low: Value, high: Value) -> pa.Array | None:
    """Return the keys between two whose rejected rows may be replayed, or None if there are none."""
    key = rejected_key(database, dataset)
    if pa.types.is_integer(dataset.schema.field(dataset.keys[0]).type):
        key = f"CAST({key} AS BIGINT)"
    keys = database.query(
        f"""SELECT DISTINCT {key} AS "key" FROM rejected_row
        WHERE {is_rejected(dataset)} AND {key} BETWEEN ? AND ?""",
        [low, high],
    )
    return keys["key"].combine_chunks() if keys.num_rows else None


class Notes:
    """The entries of `row_place`, updated while rows are merged at one place."""

    def __init__(self, database: Database, dataset: Dataset, place: str, *, is_replay: bool) -> None:
        self._database = database
        self._dataset = dataset
        self._place = place
        self._is_replay = is_replay
        self.has_notes = self._exists("row_place WHERE dataset = ?", [dataset.name])
        self._has_rejected = self._exists(f"rejected_row WHERE {is_rejected(dataset)}")

    def forget(self, written: str) -> None:
        """Delete the entries of rows that were written; `written` is the query of their keys."""
        if self.has_notes:
            keys = f"SELECT CAST(key AS TEXT) FROM ({written}) written"
            self._execute(f"DELETE FROM row_place WHERE dataset = ? AND key IN ({keys})")

    def confirm(self, confirmed: str) -> None:
        """Add entries for confirmed rows that may be replayed; `confirmed` is the query of their keys."""
        if not (self._is_replay or self._has_rejected):
            return
        key = rejected_key(self._database, self._dataset)
        rejected = f"{is_rejected(self._dataset)} AND {key} = CAST(c.key AS TEXT)"
        awaited = "true" if self._is_replay else f"EXISTS (SELECT 1 FROM rejected_row WHERE {rejected})"
        noted = self._execute(
            f"""INSERT INTO row_place SELECT ?, CAST(c.key AS TEXT), ? FROM ({confirmed}) c WHERE {awaited}
            ON CONFLICT (dataset, key) DO UPDATE SET place = excluded.place RETURNING 1""",
            [self._place],
        )
        self.has_notes = self.has_notes or bool(noted)

    def _execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple]:
        return self._database.execute(sql, [self._dataset.name, *values])

    def _exists(self, rows: str, values: Sequence[Value] = ()) -> bool:
        return bool(self._database.execute(f"SELECT EXISTS (SELECT 1 FROM {rows})", values)[0][0])


def _newest(
    database: Database,
    dataset: str,
    run_id: str,
    origin: Origin,
    condition: str = "",
    values: Sequence[Value] = (),
) -> str:
    """Return the last place of other runs' committed extractions, live or bulk like this one, or ""."""
    rows = database.execute(
        f"""SELECT place FROM extraction e JOIN pipeline_run r ON r.run_id = e.run_id
        WHERE e.dataset = ? AND {is_alike("e.source", origin.kind)} AND e.run_id <> ?
            AND r.committed_at IS NOT NULL {condition}
        ORDER BY place DESC LIMIT 1""",
        [dataset, run_id, *values],
    )
    return rows[0][0] if rows else ""
