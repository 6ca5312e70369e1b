"""Several versions of a key in one batch: what becomes of each when they are merged one after the other."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import Mask
from notebook_pipeline.storage.key_order import ascends

WRITTEN = ("inserted", "updated", "repeated")


@dataclass(frozen=True)
class Merged:
    """The outcome of every version, and for each key that changes the version to write or to adopt.

    `lasts` are the versions that hold in the end, also of keys that do not change.
    """

    outcomes: Counter[str]
    winners: dict[int, str]
    repeated: list[int]
    lasts: list[int]


def merge_versions(
    rows: pa.RecordBatch, keys: tuple[str, ...], cursor: str | None, alone: np.ndarray, *, is_bulk: bool
) -> Merged:
    """Follow the versions of each key, in the order of the rows, which are sorted by key.

    `alone` has the outcome of each version against the stored row. A version that loses there is out; of the
    others, one that is older than a version before it is stale, and of equally new ones the later wins. In a
    bulk source, a version that replaces a different one with the same cursor is `repeated`.
    """
    outcomes = alone.copy()
    group = np.r_[0, np.cumsum(ascends(rows, keys))]
    age = _age(rows, cursor)
    lives = ~np.isin(outcomes, ("stale", "older"))
    applied = lives & (age == _newest_so_far(np.where(lives, age, -1), group))
    outcomes[lives & ~applied] = "stale"
    index = np.flatnonzero(applied)
    if not len(index):
        return Merged(Counter(outcomes.tolist()), {}, [], [])
    is_first = np.r_[True, group[index][1:] != group[index][:-1]]
    later = np.flatnonzero(~is_first)
    now, before = index[later], index[later - 1]
    changed = np.where((age[now] == age[before]) & is_bulk, "repeated", "updated")
    outcomes[now] = np.where(are_same(rows, now, before), "unchanged", changed)
    return Merged(
        Counter(outcomes.tolist()),
        _winners(outcomes, index, is_first),
        np.flatnonzero(outcomes == "repeated").tolist(),
        _lasts(index, is_first).tolist(),
    )


def _age(rows: pa.RecordBatch, cursor: str | None) -> np.ndarray:
    """Return numbers that compare as the rows' cursors do; without a cursor all are equal."""
    if cursor is None:
        return np.zeros(len(rows), np.int64)
    values = rows.column(cursor).to_numpy(zero_copy_only=False)
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _newest_so_far(age: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return for each row the greatest age in its group up to it; groups are contiguous."""
    step = group * (age.max(initial=0) + 2)
    return np.maximum.accumulate(age + step) - step


def are_same(rows: pa.RecordBatch, some: np.ndarray, others: np.ndarray) -> Mask:
    """Return whether the rows at two lists of indexes are the same, pair by pair; null equals null."""
    same = np.ones(len(some), bool)
    for column in rows.columns:
        codes = column.dictionary_encode(null_encoding="encode").indices.to_numpy()
        same &= codes[some] == codes[others]
    return same


def _lasts(applied: np.ndarray, is_first: Mask) -> np.ndarray:
    """Return the last applied version of each key."""
    return applied[np.r_[np.flatnonzero(is_first)[1:], len(applied)] - 1]


def _winners(outcomes: np.ndarray, applied: np.ndarray, is_first: Mask) -> dict[int, str]:
    """Return the last applied version of each key that is written, or only adopted, and which of these."""
    begins, lasts = np.flatnonzero(is_first), _lasts(applied, is_first)
    found = outcomes[applied]
    written = np.logical_or.reduceat(np.isin(found, WRITTEN), begins)
    inserted = np.logical_or.reduceat(found == "inserted", begins)
    adopted = np.logical_or.reduceat(found == "adopted", begins)
    whole = np.where(inserted, "inserted", np.where(written, "updated", np.where(adopted, "adopted", "")))
    return {int(row): str(outcome) for row, outcome in zip(lasts, whole, strict=True) if outcome}
