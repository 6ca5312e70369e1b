"""Know which keys were seen on which page, in a few bytes a key however many there are."""

# pyarrow makes its compute functions at run time, where a type checker cannot see them.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Repeated:
    """Name a key that came on two pages."""

    key: object
    pages: tuple[int, int]


class Keys:
    """Collect the keys of page after page; `without_key` counts rows whose key cannot be told."""

    def __init__(self, key_type: pa.DataType) -> None:
        self._type = key_type
        self._is_integer = pa.types.is_integer(key_type)
        self._pages: list[pa.Array] = []
        self._compared = 0
        self.without_key = 0

    def __len__(self) -> int:
        """Count the keys, those of two pages twice."""
        return sum(map(len, self._pages))

    def add(self, values: Iterable[object]) -> None:
        """Take the keys of the next page; what is no key of this type is only counted."""
        received = list(values)
        usable = [value for value in received if self._is_key(value)]
        self.without_key += len(received) - len(usable)
        self._pages.append(pa.array(usable, self._type).unique())

    def array(self) -> pa.Array:
        """Return every key, in no order, once."""
        return pa.concat_arrays([*self._pages, pa.array([], self._type)]).unique()

    def repeated(self, *, now: bool) -> Repeated | None:
        """Return a key that came on two pages; unless `now`, look only when the keys have doubled.

        So the whole costs little more than the last look.
        """
        if not now and len(self) < 2 * self._compared:
            return None
        self._compared = len(self)
        return None if len(self.array()) == len(self) else self._first_repeated()

    def _first_repeated(self) -> Repeated | None:
        everything = pa.concat_arrays(self._pages)
        counts = pc.value_counts(everything)
        key = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0]
        first, second = [number for number, page in enumerate(self._pages) if key in page][:2]
        return Repeated(key.as_py(), (first, second))

    def _is_key(self, value: object) -> bool:
        if self._is_integer:
            return type(value) is int and -(2**63) <= value < 2**63
        return isinstance(value, str)
