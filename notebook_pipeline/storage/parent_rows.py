"""Parents whose children stay as they are: the stored parent wins over the one that is being merged.

It does if it is from a live source and the other from a bulk file, or if it was read later.
"""

from collections.abc import Sequence

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.cursors import cursor_type, typed_cursor
from notebook_pipeline.storage.database import Database, Value, literal, quoted
from notebook_pipeline.storage.extraction_order import is_alike, is_live, stored_place
from notebook_pipeline.storage.keys import text_of

Condition = tuple[str, list[Value]]


def stays(
    database: Database, parent: Dataset, alias: str, origin: Origin, place: str, *, is_behind: bool
) -> Condition | None:
    """Return the condition that a stored parent wins, and the values to bind in it; None if none can."""
    rules: list[str] = []
    values: list[Value] = []
    if not origin.kind.is_live:
        rules.append(is_live(f"{alias}._source"))
    if is_behind:
        alike = is_alike(f"{alias}._source", origin.kind)
        rules.append(f"({alike} AND ? < {stored_place(database, parent, alias)})")
        values.append(place)
    return (f"({' OR '.join(rules)})", values) if rules else None


def has_winner(
    database: Database, nested: Nested, alias: str, origin: Origin, place: str, *, is_behind: bool
) -> Condition | None:
    """Return the condition that the parent of a row of the child is stored and wins; None if none can."""
    condition = stays(database, nested.parent, "q", origin, place, is_behind=is_behind)
    if condition is None:
        return None
    pairs = zip(nested.parent.keys, nested.key_of_parent, strict=True)
    same = " AND ".join(f"q.{quoted(key)} = {alias}.{quoted(column)}" for key, column in pairs)
    sql, values = condition
    return f"EXISTS (SELECT 1 FROM {quoted(nested.parent.name)} q WHERE {same} AND {sql})", values


def lost_its_parent(database: Database, nested: Nested, alias: str, origin: Origin, place: str) -> Condition:
    """Return the condition that a live source no longer has the parent of a row of the child's own source.

    A row of a file that is newer than the moment of the deletion stays, if that can be compared.
    """
    parent, child = nested.parent, nested.dataset
    columns = [f"{alias}.{quoted(column)}" for column in nested.key_of_parent]
    same = " AND ".join(
        f"q.{quoted(key)} = {column}" for key, column in zip(parent.keys, columns, strict=True)
    )
    key = text_of(database, parent, columns)
    deleted = f"d.dataset = {literal(parent.name)} AND d.key = {key} AND {is_live('e.source')}"
    values: list[Value] = []
    if origin.kind.is_live:
        deleted += " AND ? < e.place"
        values.append(place)
    elif parent.cursor and child.cursor and cursor_type(parent) == cursor_type(child):
        until = typed_cursor(database, parent, "d.cursor")
        deleted += f" AND {alias}.{quoted(child.cursor)} <= {until}"
    return (
        f"""(NOT EXISTS (SELECT 1 FROM {quoted(parent.name)} q WHERE {same}) AND EXISTS (SELECT 1
        FROM deleted_row d JOIN extraction e ON e.run_id = d.run_id WHERE {deleted}))""",
        values,
    )


def ruling_parents(database: Database, parents: Sequence[Nested], origin: Origin) -> list[Nested]:
    """Return the parents of a dataset whose stored rows may decide over rows of its own source.

    They decide over rows of its own files, and over those that are replayed.
    """
    if origin.kind.is_live and not origin.is_replay:
        return []
    found: list[Nested] = []
    for nested in parents:
        table = nested.parent.name
        if {*nested.parent.keys, "_source", "_run_id"} <= {*database.columns(table)}:
            any_live = f"""SELECT EXISTS (SELECT 1 FROM deleted_row WHERE dataset = ?)
                OR EXISTS (SELECT 1 FROM {quoted(table)} q WHERE {is_live("q._source")})"""
            if origin.is_replay or database.execute(any_live, [table])[0][0]:
                found.append(nested)
    return found
