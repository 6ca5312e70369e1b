"""Know which keys were seen on which page, in a few bytes a key however many there are."""

# pyarrow makes its compute functions at run time, where a type checker cannot see them.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from notebook_pipeline.contract import columns


@dataclass(frozen=True)
class Repeated:
    """Name a key that came on two pages."""

    key: object
    pages: tuple[int, int]


class Keys:
    """Collect the keys of page after page; `without_key` counts rows whose key cannot be told."""

    def __init__(self, key_type: pa.DataType) -> None:
        self._type = key_type
        self._pages: list[pa.Array] = []
        self._count = self._compared = 0
        self._highest: Any = None
        self._is_rising = True
        self.without_key = 0

    def __len__(self) -> int:
        """Count the keys, those of two pages twice."""
        return self._count

    def add(self, values: Sequence[object] | pa.Array) -> None:
        """Take the keys of the next page; what is no key of this type is only counted."""
        page = self._usable(values).unique()
        self._pages.append(page)
        self._count += len(page)
        if len(page):
            low, high = pc.min_max(page).as_py().values()
            self._is_rising = self._is_rising and (self._highest is None or low > self._highest)
            self._highest = high if self._highest is None else max(high, self._highest)

    def array(self) -> pa.Array:
        """Return every key, in no order, once."""
        everything = pa.concat_arrays([*self._pages, pa.array([], self._type)])
        return everything if self._is_rising else everything.unique()

    def repeated(self, *, now: bool) -> Repeated | None:
        """Return a key that came on two pages; unless `now`, look only when the keys have doubled.

        So the whole costs little more than the last look, and nothing where pages come in the keys' order.
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
        """Return the keys that these values mean to the contract, too, which takes 7.0 for 7."""
        convert = columns.from_column if isinstance(values, pa.Array) else columns.from_values
        keys = convert(values, self._type).values
        self.without_key += keys.null_count
        return keys.drop_null()
