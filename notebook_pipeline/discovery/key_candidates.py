"""Columns that may be the key or the cursor: unique and never null in the sample, or the time of a change."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa

from notebook_pipeline.declare.column_types import can_be_key, has_days, is_text
from notebook_pipeline.discovery.seen_table import SeenColumn

_MOST_IN_PAIRS = 20
_MOST_IN_TRIPLES = 10
_MOST_NAMED = 6
_IDENTIFIES = re.compile(
    r"(?:.*[_ ])?(?:id|uuid|guid|key|code|nr|no|num|number|nummer)|.*[a-z]I[Dd]|id_.*", re.IGNORECASE
)
_CHANGED = re.compile(
    r"chang|updat|modif|edit(ed|_at)|revis|last_?(seen|write)|ge?ae?nder|ge?änder|actuali|mise_a_jour|maj$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class KeyGuess:
    """The key that is most likely, the other candidates, and if it is unique in the sample."""

    key: tuple[str, ...]
    others: Sequence[tuple[str, ...]]
    is_unique: bool


def guess_key(columns: Sequence[SeenColumn], dataset: str) -> KeyGuess | None:
    """Return the key that is most likely, or None if no column can be one."""
    able = [column for column in columns if can_be_key(column.seen.type) and not column.has_nulls]
    if not able:
        return None
    different = np.unique(np.stack([column.codes for column in columns]), axis=1)
    codes = {column.name: different[place] for place, column in enumerate(columns)}
    singles = [column for column in able if _is_unique([codes[column.name]])]
    singles.sort(key=lambda column: (_weakness(column, dataset), columns.index(column)))
    others = [column for column in able if column not in singles]
    if singles and _is_strong(singles[0], dataset, is_first=singles[0] is columns[0]):
        return KeyGuess(_names([singles[0]]), [_names([one]) for one in singles[1:]][:_MOST_NAMED], True)
    groups = list(_unique_groups(others, codes, dataset))
    found = [*groups[:1], *([one] for one in singles), *groups[1:]] if singles else groups
    if found:
        return KeyGuess(_names(found[0]), [_names(one) for one in found[1 : _MOST_NAMED + 1]], True)
    return KeyGuess(_names(_most_different(others, codes)), [], False)


def guess_cursor(columns: Sequence[SeenColumn]) -> tuple[str, Sequence[str]]:
    """Return the column whose name says that it is the time of a change, or "", and the other candidates."""
    able = [column for column in columns if has_days(column.seen.type) and not column.has_nulls]
    named = [column.name for column in able if _CHANGED.search(column.name)]
    return (named[0] if named else ""), [column.name for column in able if column.name not in named[:1]]


def is_name_of_change(name: str) -> bool:
    """Return True if a name says that it is about changes."""
    return bool(_CHANGED.search(name))


def _names(columns: Sequence[SeenColumn]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


def _weakness(column: SeenColumn, dataset: str) -> int:
    """Return how unlikely it is that a unique column identifies rows: 0 for one that is named so."""
    kind, name = column.seen.type, column.name.lower()
    if not (pa.types.is_integer(kind) or is_text(kind)) or column.is_long:
        return 3
    if name in {"id", f"{dataset}_id", f"{dataset}id", f"{dataset.removesuffix('s')}_id"}:
        return 0
    return 1 if _IDENTIFIES.fullmatch(column.name) else 2


def _is_strong(column: SeenColumn, dataset: str, *, is_first: bool) -> bool:
    weakness = _weakness(column, dataset)
    return weakness < 2 or is_first or (weakness == 2 and is_text(column.seen.type))


def _unique_groups(
    columns: Sequence[SeenColumn], codes: dict[str, np.ndarray], dataset: str
) -> Iterator[list[SeenColumn]]:
    """Yield pairs of columns that are unique together, or else triples, the likely ones first."""
    likely = sorted(columns, key=lambda column: (column.is_long, columns.index(column)))
    for size, most in ((2, _MOST_IN_PAIRS), (3, _MOST_IN_TRIPLES)):
        groups = [[*group] for group in combinations(likely[:most], size)]
        unique = [group for group in groups if _is_unique([codes[one.name] for one in group])]
        order = {column.name: place for place, column in enumerate(columns)}
        unique.sort(key=lambda group: sum(_weakness(one, dataset) * 2 + order[one.name] for one in group))
        yield from unique
        if unique:
            return


def _most_different(columns: Sequence[SeenColumn], codes: dict[str, np.ndarray]) -> list[SeenColumn]:
    """Return the columns that could be a key all together, those with most values first, at most four."""
    return sorted(columns, key=lambda column: -len(np.unique(codes[column.name])))[:4]


def _is_unique(codes: Sequence[np.ndarray]) -> bool:
    together = codes[0]
    for more in codes[1:]:
        together = together * (int(more.max(initial=0)) + 1) + more
    return len(np.unique(together)) == len(together)
