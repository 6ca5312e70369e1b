"""The order of extractions: of two live rows, or two bulk rows, that are equally new the later one wins.

An extraction's place is a text that sorts in the order of extractions. A live reading has the moment at which
it began, in the form of a run's id, whenever it is committed; a bulk load the place of its commit; a replay
of rejected rows the place of the run that rejected them. The place of a stored row is the one in `row_place`
if it has one, else that of the run in its `_run_id`. A row gets a `row_place` if a later extraction confirmed
it without a change while an earlier extraction may still be merged; to store one for every confirmed row
would cost a write each.
"""

from collections.abc import Sequence

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.source_kind import BULK_MARK, SourceKind
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, Value, literal
from notebook_pipeline.storage.keys import are_rejected_keys_readable, is_rejected, key_text, rejected_key


def take_place(database: Database, dataset: str, run_id: str, origin: Origin) -> str:
    """Return the place of a run's extraction; call it inside the transaction that merges the rows."""
    if origin.is_replay:
        return origin.place
    if origin.kind.is_live:
        return max(run_id, origin.place)
    # A load that waited for others comes after them, because its file is read inside its transaction.
    newest = _newest(database, dataset, run_id, origin)
    return run_id if newest < run_id else f"{newest}~"


def save_extraction(database: Database, run_id: str, dataset: str, origin: Origin, place: str) -> None:
    """Record the source and the place of a run's extraction, inside the caller's transaction."""
    database.execute(
        """INSERT INTO extraction VALUES (?, ?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE SET
        source = excluded.source, place = excluded.place, is_replay = excluded.is_replay""",
        [run_id, dataset, origin.source, place, int(origin.is_replay)],
    )


def is_live(source: str) -> str:
    """Return the SQL condition that a row whose `_source` is this SQL is from a live source."""
    return f"coalesce({source}, {literal(BULK_MARK)}) <> {literal(BULK_MARK)}"


def is_bulk(source: str) -> str:
    """Return the SQL condition that a row whose `_source` is this SQL is from a bulk file.

    Rows without a mark, which another program wrote, count as bulk.
    """
    return f"coalesce({source}, {literal(BULK_MARK)}) = {literal(BULK_MARK)}"


def is_alike(source: str, kind: SourceKind) -> str:
    """Return the SQL condition that a `_source` and this kind are either both live or both bulk."""
    return is_live(source) if kind.is_live else is_bulk(source)


def is_behind(database: Database, dataset: str, run_id: str, origin: Origin, place: str) -> bool:
    """Return True if rows of a later extraction, live or bulk like this one, may already be stored."""
    return place < _newest(database, dataset, run_id, origin, replays=True)


def may_be_followed(database: Database, dataset: str, run_id: str, origin: Origin) -> bool:
    """Return True if another run may still merge an earlier extraction, live or bulk like this one."""
    if not (origin.kind.is_live or database.is_shared):
        return False
    rows = database.execute(
        """SELECT EXISTS (SELECT 1 FROM pipeline_run WHERE status = 'running' AND run_id <> ?
        AND committed_at IS NULL AND source IS NOT NULL AND coalesce(dataset, ?) = ?)""",
        [run_id, dataset, dataset],
    )
    return bool(rows[0][0])


def stored_place(database: Database, dataset: Dataset, alias: str = "p") -> str:
    """Return the SQL for the place of a stored row; `alias` names it.

    A bulk row that a live source has confirmed is a live row, but has no live place unless one is noted.
    """
    noted = f"dataset = {literal(dataset.name)} AND key = {key_text(database, dataset, alias)}"
    is_alike = f"({is_live('source')}) = ({is_live(f'{alias}._source')})"
    return f"""coalesce((SELECT place FROM row_place WHERE {noted}),
        (SELECT place FROM extraction WHERE run_id = {alias}._run_id AND {is_alike}), '')"""


def rejected_keys(database: Database, dataset: Dataset) -> list[str]:
    """Return the keys, as text, of rejected rows that may be replayed."""
    key = rejected_key(database, dataset)
    rows = database.execute(
        f"SELECT DISTINCT {key} FROM rejected_row WHERE {is_rejected(dataset)} AND {key} IS NOT NULL"
    )
    return [text for (text,) in rows]


class Notes:
    """The entries of `row_place`, updated while rows are merged at one place."""

    def __init__(self, database: Database, dataset: Dataset, run_id: str, place: str, origin: Origin) -> None:
        self._database = database
        self._dataset = dataset
        self._place = place
        self.has_notes = self._exists("row_place WHERE dataset = ?", [dataset.name])
        self._has_rejected = self._exists(f"rejected_row WHERE {is_rejected(dataset)}")
        # Any row may be a version of a rejected one whose key cannot be read.
        may_be_any = self._has_rejected and not are_rejected_keys_readable(dataset)
        # Replays confirm at an earlier place than the row's own may be, which is compared below.
        is_followed = origin.is_replay or may_be_followed(database, dataset.name, run_id, origin)
        self.notes_all = is_followed or may_be_any

    def forget(self, written: str) -> None:
        """Delete the entries of rows that were written; `written` is the query of their keys, as text."""
        if self.has_notes:
            self._execute(f"DELETE FROM row_place WHERE dataset = ? AND key IN ({written})")

    def confirm(self, confirmed: str) -> None:
        """Add entries for confirmed rows that an earlier extraction may meet.

        `confirmed` is the query of the stored rows `p`, without what it selects.
        """
        if not (self.notes_all or self._has_rejected):
            return
        key = key_text(self._database, self._dataset, "p")
        rejected = f"{is_rejected(self._dataset)} AND {rejected_key(self._database, self._dataset)} = {key}"
        awaited = "" if self.notes_all else f"AND EXISTS (SELECT 1 FROM rejected_row WHERE {rejected})"
        noted = self._execute(
            f"""INSERT INTO row_place SELECT DISTINCT ?, {key}, ? {confirmed} {awaited}
            AND {stored_place(self._database, self._dataset)} < ?
            ON CONFLICT (dataset, key) DO UPDATE SET place = excluded.place RETURNING 1""",
            [self._place, self._place],
        )
        self.has_notes = self.has_notes or bool(noted)

    def _execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple]:
        return self._database.execute(sql, [self._dataset.name, *values])

    def _exists(self, rows: str, values: Sequence[Value] = ()) -> bool:
        return bool(self._database.execute(f"SELECT EXISTS (SELECT 1 FROM {rows})", values)[0][0])


def _newest(database: Database, dataset: str, run_id: str, origin: Origin, *, replays: bool = False) -> str:
    """Return the last place of other runs' committed extractions, live or bulk like this one, or ""."""
    rows = database.execute(
        f"""SELECT place FROM extraction e JOIN pipeline_run r ON r.run_id = e.run_id
        WHERE e.dataset = ? AND {is_alike("e.source", origin.kind)} AND e.run_id <> ?
            AND r.committed_at IS NOT NULL {"" if replays else "AND is_replay = 0"}
        ORDER BY place DESC LIMIT 1""",
        [dataset, run_id],
    )
    return rows[0][0] if rows else ""
