"""Parents whose children stay as they are: the stored parent wins over the one that is being merged.

It does if it is from a live source and the other from a bulk file, or if it was read later.
"""

from collections.abc import Sequence

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, Value, quoted
from notebook_pipeline.storage.extraction_order import is_alike, is_live, stored_place

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
            any_live = f"SELECT EXISTS (SELECT 1 FROM {quoted(table)} q WHERE {is_live('q._source')})"
            if origin.is_replay or database.execute(any_live)[0][0]:
                found.append(nested)
    return found
