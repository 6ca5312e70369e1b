"""The keys seen so far and their pages, in a few bytes per key."""

# pyarrow generates its compute functions at run time, where a type checker cannot see them.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from notebook_pipeline.contract import columns


@dataclass(frozen=True)
class Repeated:
    """A key that was found on two pages."""

    key: object
    pages: tuple[int, int]


class Keys:
    """The keys of all pages so far; `without_key` counts the rows without a valid key."""

    def __init__(self, key_type: pa.DataType) -> None:
        self._type = key_type
        self._pages: list[pa.Array] = []
        self._count = self._compared = 0
        self._highest: Any = None
        self._is_rising = True
        self.without_key = 0

    def __len__(self) -> int:
        """Return the number of keys; a key on two pages counts twice."""
        return self._count

    def add(self, values: Sequence[object] | pa.Array) -> None:
        """Add the keys of the next page; values that are not valid keys are only counted."""
        page = self._usable(values).unique()
        self._pages.append(page)
        self._count += len(page)
        if len(page):
            low, high = pc.min_max(page).as_py().values()
            self._is_rising = self._is_rising and (self._highest is None or low > self._highest)
            self._highest = high if self._highest is None else max(high, self._highest)

    def array(self) -> pa.Array:
        """Return each key once, in any order."""
        everything = pa.concat_arrays([*self._pages, pa.array([], self._type)])
        return everything if self._is_rising else everything.unique()

    def repeated(self, *, now: bool) -> Repeated | None:
        """Return a key that is on two pages, or None; unless `now`, compare only after the keys have doubled.

        All comparisons together cost little more than the last, and nothing if pages are sorted by key.
        """
        if self._is_rising or (not now and len(self) < 2 * self._compared):
            return None
        self._compared = len(self)
        return None if len(self.array()) == len(self) else self._first_repeated()

    def _first_repeated(self) -> Repeated | None:
        counts = pc.value_counts(pa.concat_arrays(self._pages))
        key = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0]
        first, second = [number for number, page in enumerate(self._pages) if key in page][:2]
        return Repeated(key.as_py(), (first, second))

    def _usable(self, values: Sequence[object] | pa.Array) -> pa.Array:
        """Return the valid keys as the contract converts them (7.0 is 7)."""
        convert = columns.from_column if isinstance(values, pa.Array) else columns.from_values
        keys = convert(values, self._type).values
        self.without_key += keys.null_count
        return keys.drop_null()
