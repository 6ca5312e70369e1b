"""The merge rule in SQL, for a staged row s, the stored row p of its key, and what is recorded of the key.

Recorded are deletions d, with the extraction e of the run that found them, and acceptances a, with the
extraction f of the run that accepted the row although it was older than the stored one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.cursors import typed_cursor
from notebook_pipeline.storage.database import Database, Value, literal, quoted
from notebook_pipeline.storage.extraction_order import is_alike, is_bulk, is_live, stored_place
from notebook_pipeline.storage.keys import key_text
from notebook_pipeline.storage.parent_rows import has_winner, lost_its_parent
from notebook_pipeline.storage.sweeps import Sweep


@dataclass(frozen=True)
class Circumstances:
    """What the rule depends on besides the rows: where they come from, and what is recorded of deletions.

    `is_behind` is True if rows of a later extraction may be stored. `accepted_until` is the moment of a sweep
    that accepts older rows, as a cursor's text, else None. Rows that `follow` their parents were nested in
    parents that have won; rows of a child's own source have `parents` instead, which may decide over them.
    """

    origin: Origin
    run_id: str
    place: str
    is_behind: bool
    has_tombstones: bool
    has_accepted: bool
    sweeps: Sequence[Sweep]
    accepted_until: str | None = None
    follow: Nested | None = None
    parents: Sequence[Nested] = ()

    @property
    def has_statements(self) -> bool:
        """Return True if rows may lose to parents, or to what is recorded of deletions or acceptances."""
        return self.has_tombstones or self.has_accepted or bool(self.sweeps) or bool(self.parents)


Rule = tuple[str, Sequence[Value]]


def outcome(database: Database, dataset: Dataset, found: Circumstances) -> tuple[str, list[Value]]:
    """Return the SQL expression for the outcome of a staged row, and the values to bind in it.

    The outcome is `inserted`, `updated`, `unchanged`, `stale`, or a special case of one of these: `adopted`
    is unchanged except that `_source` becomes the live source that confirmed the row; `repeated` is an update
    of a row that the same file contained before, with the same cursor; `older` is stale for its older cursor.
    """
    live = found.origin.kind.is_live
    missing = f"p.{quoted(dataset.keys[0])} IS NULL"
    same = _is_same(database, dataset)
    rules: list[Rule] = [
        (f"NOT ({missing}) AND {same}{' AND ' + is_live('p._source') if live else ''} THEN 'unchanged'", [])
    ]
    rules += [
        (f"{condition} THEN 'stale'", values)
        for condition, values in (
            *_of_parents(database, found),
            *_recorded(database, dataset, found),
            *_swept(database, dataset, found, missing),
        )
    ]
    rules.append((f"{missing} THEN 'inserted'", []))
    if not found.follow:
        rules += _by_cursor(database, dataset, found)
        rules += _ties(database, dataset, found)
    if live:
        rules.append((f"{same} THEN 'adopted'", []))
    elif not found.follow:
        rules.append((f"{_tied(dataset)} AND p._run_id = {literal(found.run_id)} THEN 'repeated'", []))
    sql = " ".join(f"WHEN {rule}" for rule, _ in rules)
    return f"CASE {sql} ELSE 'updated' END", [value for _, values in rules for value in values]


def recorded_joins(database: Database, dataset: Dataset, found: Circumstances) -> str:
    """Return the joins of what is recorded of the staged rows' keys."""
    key, name = key_text(database, dataset, "s"), literal(dataset.name)
    joins = ""
    if found.has_tombstones:
        joins += f""" LEFT JOIN deleted_row d ON d.dataset = {name} AND d.key = {key}
            LEFT JOIN extraction e ON e.run_id = d.run_id"""
    if found.has_accepted:
        joins += f""" LEFT JOIN accepted_row a ON a.dataset = {name} AND a.key = {key}
            LEFT JOIN extraction f ON f.run_id = a.run_id"""
    return joins


def _of_parents(database: Database, found: Circumstances) -> list[Rule]:
    """Return the conditions on which a row loses to its stored parent.

    A row that follows another parent now loses to the one that it has in the table; a row of the child's own
    source also loses to the deletion of its parent.
    """
    sides = [(found.follow, "p", found.is_behind)] if found.follow else []
    sides += [(nested, "s", found.origin.is_replay) for nested in found.parents]
    rules = [
        has_winner(database, nested, alias, found.origin, found.place, is_behind=is_behind)
        for nested, alias, is_behind in sides
    ]
    rules += [lost_its_parent(database, nested, "s", found.origin, found.place) for nested in found.parents]
    return [rule for rule in rules if rule]


def _recorded(database: Database, dataset: Dataset, found: Circumstances) -> list[Rule]:
    """Return the conditions on which a row loses to a recorded deletion or acceptance of its key."""
    rules: list[Rule] = []
    deleted_live = f"d.run_id IS NOT NULL AND {is_live('e.source')}"
    deleted_bulk = f"d.run_id IS NOT NULL AND {is_bulk('e.source')}"
    deleted_at, accepted_at = "coalesce(e.place, d.run_id)", "coalesce(f.place, a.run_id)"
    if found.origin.kind.is_live:
        if found.has_tombstones:
            rules.append((f"{deleted_live} AND ? < {deleted_at}", [found.place]))
            if dataset.cursor:
                rules.append(_lost_to_snapshot(database, dataset, found, deleted_bulk))
        if found.has_accepted:
            rules.append((f"a.run_id IS NOT NULL AND ? < {accepted_at}", [found.place]))
        return rules
    if found.has_tombstones:
        rules.append((f"{deleted_live}{_until(database, dataset, 'd.cursor')}", []))
        rules.append((f"{deleted_bulk} AND ? < {deleted_at}", [found.place]))
    if found.has_accepted:
        rules.append((f"a.run_id IS NOT NULL{_until(database, dataset, 'a.cursor')}", []))
    return rules


def _lost_to_snapshot(database: Database, dataset: Dataset, found: Circumstances, deleted: str) -> Rule:
    """Return the condition on which a live row is older than a snapshot that lacks its key.

    What a sweep has accepted since then, or accepts now, is the source's own word.
    """
    until = typed_cursor(database, dataset, "d.cursor")
    condition, values = f"{deleted} AND s.{quoted(dataset.cursor or '')} < {until}", []
    if found.has_accepted:
        condition += f" AND (a.run_id IS NULL OR {typed_cursor(database, dataset, 'a.cursor')} < {until})"
    if found.accepted_until is not None:
        condition += f" AND {typed_cursor(database, dataset, '?')} < {until}"
        values = [found.accepted_until]
    return condition, values


def _swept(database: Database, dataset: Dataset, found: Circumstances, missing: str) -> list[Rule]:
    """Return the conditions on which a row loses to the last sweep of a source, which did not see its key."""
    rules: list[Rule] = []
    for sweep in found.sweeps:
        is_before = found.place < sweep.place
        if found.origin.kind.is_live:
            applies, until, values = sweep.is_live and is_before, "", []
        elif sweep.is_live:
            applies, until, values = (
                True,
                _until(database, dataset, "?"),
                [sweep.cursor] if dataset.cursor else [],
            )
        else:
            applies, until, values = is_before, "", []
        if applies:
            unseen = f"{missing} AND {key_text(database, dataset, 's')} NOT IN ({database.json_items()})"
            rules.append((f"{unseen}{until}", [sweep.spared, *values]))
    return rules


def _until(database: Database, dataset: Dataset, moment: str) -> str:
    """Return the condition that a staged bulk row is not after a moment; without a cursor none is."""
    if not dataset.cursor:
        return ""
    return f" AND s.{quoted(dataset.cursor)} <= {typed_cursor(database, dataset, moment)}"


def _by_cursor(database: Database, dataset: Dataset, found: Circumstances) -> list[Rule]:
    """Return the rules for a row with an older cursor than the stored one."""
    if not dataset.cursor:
        return []
    cursor = quoted(dataset.cursor)
    older = f"s.{cursor} < p.{cursor}"
    rules: list[Rule] = []
    if found.accepted_until is not None:
        until = typed_cursor(database, dataset, "?")
        place = stored_place(database, dataset)
        rules.append(
            (
                f"{older} AND {is_bulk('p._source')} AND p.{cursor} <= {until} THEN 'updated'",
                [found.accepted_until],
            )
        )
        rules.append((f"{older} AND {is_live('p._source')} AND {place} < ? THEN 'updated'", [found.place]))
    rules.append((f"{older} THEN 'older'", []))
    return rules


def _ties(database: Database, dataset: Dataset, found: Circumstances) -> list[Rule]:
    """Return the rules for rows that are equally new: live beats bulk, then the later extraction wins."""
    tied = _tied(dataset)
    rules: list[Rule] = []
    if not found.origin.kind.is_live:
        rules.append((f"{tied} AND {is_live('p._source')} THEN 'stale'", []))
    if found.is_behind:
        alike = is_alike("p._source", found.origin.kind)
        rules.append(
            (f"{tied} AND {alike} AND ? < {stored_place(database, dataset)} THEN 'stale'", [found.place])
        )
    return rules


def _tied(dataset: Dataset) -> str:
    return f"s.{quoted(dataset.cursor)} = p.{quoted(dataset.cursor)}" if dataset.cursor else "true"


def _is_same(database: Database, dataset: Dataset) -> str:
    columns = [(quoted(field.name), field.type) for field in dataset.schema]
    return " AND ".join(
        f"{database.from_staged(f's.{name}', kind)} IS NOT DISTINCT FROM p.{name}" for name, kind in columns
    )
