"""The merge rule in SQL, for a staged row s, the stored row p of its key, and the key's tombstone d."""

from collections.abc import Sequence
from dataclasses import dataclass

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, Value, quoted
from notebook_pipeline.storage.deletions import Sweep
from notebook_pipeline.storage.extraction_order import is_alike, is_live, stored_place
from notebook_pipeline.storage.tables import key_type


@dataclass(frozen=True)
class Circumstances:
    """What the rule depends on besides the rows: where they come from, and the dataset's deletions.

    `is_behind` is True if rows of a later extraction may be stored.
    """

    origin: Origin
    place: str
    is_behind: bool
    has_tombstones: bool
    sweep: Sweep | None


Rule = tuple[str, Sequence[Value]]


def outcome(database: Database, dataset: Dataset, found: Circumstances) -> tuple[str, list[Value]]:
    """Return the SQL expression for the outcome of a staged row, and the values to bind in it.

    The outcome is `inserted`, `updated`, `unchanged`, `stale` or `adopted`, which is unchanged except that
    `_source` becomes the live source that confirmed the row.
    """
    key, cursor = quoted(dataset.key), quoted(dataset.cursor)
    rules = [
        *_deletions(key, cursor, database.json_items(key_type(dataset)), found),
        (f"p.{key} IS NULL THEN 'inserted'", []),
        (f"s.{cursor} < p.{cursor} THEN 'stale'", []),
        *_ties(dataset, found),
        *_wins(dataset, found.origin.source),
    ]
    sql = " ".join(f"WHEN {rule}" for rule, _ in rules)
    return f"CASE {sql} ELSE 'updated' END", [value for _, values in rules for value in values]


def _deletions(key: str, cursor: str, spared: str, found: Circumstances) -> list[Rule]:
    """Return the rules that keep deleted rows from being restored by older bulk rows or updates."""
    rules: list[Rule] = []
    is_bulk = not found.origin.kind.is_live
    if found.has_tombstones:
        rules.append((f"s.{cursor} <= d.cursor", []) if is_bulk else ("? < d.run_id", [found.place]))
    if found.sweep and (is_bulk or found.place < found.sweep.run_id):
        unseen = f"p.{key} IS NULL AND s.{key} NOT IN ({spared})"
        older, values = (f"AND s.{cursor} <= ?", [found.sweep.cursor]) if is_bulk else ("", [])
        rules.append((f"{unseen} {older}", [found.sweep.spared, *values]))
    return [(f"{condition} THEN 'stale'", values) for condition, values in rules]


def _ties(dataset: Dataset, found: Circumstances) -> list[Rule]:
    """Return the rules for rows with the same cursor: live beats bulk, then the later extraction wins."""
    cursor = quoted(dataset.cursor)
    tied = f"s.{cursor} = p.{cursor}"
    rules: list[Rule] = []
    if not found.origin.kind.is_live:
        rules.append((f"{tied} AND {is_live('p._source')} THEN 'stale'", []))
    if found.is_behind:
        later = stored_place(dataset, f"s.{quoted(dataset.key)}")
        alike = is_alike("p._source", found.origin.kind)
        rules.append((f"{tied} AND {alike} AND ? < {later} THEN 'stale'", [found.place]))
    return rules


def _wins(dataset: Dataset, source: str) -> list[Rule]:
    columns = [quoted(name) for name in dataset.schema.names]
    same = " AND ".join(f"s.{column} IS NOT DISTINCT FROM p.{column}" for column in columns)
    return [
        (f"{same} AND p._source = ? THEN 'unchanged'", [source]),
        (f"{same} THEN 'adopted'", []),
    ]
