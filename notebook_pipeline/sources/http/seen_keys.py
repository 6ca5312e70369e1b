"""The keys seen so far and their pages, in a few bytes per key."""

# pyarrow generates its compute functions at run time, where a type checker cannot see them.
# pyright: reportAttributeAccessIssue=false

from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from notebook_pipeline.contract import received_fields
from notebook_pipeline.contract.arrow_functions import all_true
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare.dataset import Dataset


@dataclass(frozen=True)
class Repeated:
    """A key that was found on two pages."""

    key: object
    pages: tuple[int, int]


class Keys:
    """The keys of all pages so far; `without_key` counts the rows without a valid key.

    A key of several columns is a struct.
    """

    def __init__(self, dataset: Dataset) -> None:
        columns = [dataset.column(name) for name in dataset.keys]
        self._only_keys = Dataset(dataset.name, columns, dataset.key)
        self._empty = self._usable(RawBatch([], str))
        self._pages: list[pa.Array] = []
        self._count = self._compared = 0
        self._highest: Any = None
        self._is_rising = not pa.types.is_struct(self._empty.type)
        self.without_key = 0

    def __len__(self) -> int:
        """Return the number of keys; a key on two pages counts twice."""
        return self._count

    def add(self, batch: RawBatch) -> pa.Array:
        """Add and return the keys of the next page; values that are not valid keys are only counted."""
        page = self._usable(batch)
        self.without_key += len(batch) - len(page)
        page = _unique(page)
        self._pages.append(page)
        self._count += len(page)
        if len(page) and self._is_rising:
            low, high = pc.min_max(page).as_py().values()
            self._is_rising = self._highest is None or low > self._highest
            self._highest = high
        return page

    def has_all(self, batch: RawBatch) -> bool:
        """Return True if every row of a page has a key that was seen before."""
        page = _comparable(self._usable(batch))
        return len(page) == len(batch) and all_true(pc.is_in(page, _comparable(self.array())))

    def array(self) -> pa.Array:
        """Return each key once, in any order."""
        everything = pa.concat_arrays([*self._pages, self._empty])
        return everything if self._is_rising else _unique(everything)

    def repeated(self, *, now: bool) -> Repeated | None:
        """Return a key that is on two pages, or None; unless `now`, compare only after the keys have doubled.

        All comparisons together cost little more than the last, and nothing if pages are sorted by key.
        """
        if self._is_rising or (not now and len(self) < 2 * self._compared):
            return None
        self._compared = len(self)
        return None if len(self.array()) == len(self) else self._first_repeated()

    def _first_repeated(self) -> Repeated | None:
        counts = pc.value_counts(_comparable(pa.concat_arrays(self._pages)))
        text = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0]
        first, second = [number for number, page in enumerate(self._pages) if text in _comparable(page)][:2]
        index = pc.index(_comparable(self._pages[first]), text).as_py()
        return Repeated(self._pages[first][index].as_py(), (first, second))

    def _usable(self, batch: RawBatch) -> pa.Array:
        """Return the valid keys as the contract converts them (7.0 is 7) and as they are stored."""
        if batch.columns is None:
            rows = [row for row in batch.received if isinstance(row, dict)]
            batch = RawBatch(rows, batch.position, family=batch.family)
        cells = received_fields.convert(batch, self._only_keys)
        found = [cells[name].stored for name in self._only_keys.keys]
        if len(found) == 1:
            return found[0].drop_null()
        valid = reduce(pc.and_, (part.is_valid() for part in found))
        return pa.StructArray.from_arrays(found, list(self._only_keys.keys)).filter(valid)


def _unique(keys: pa.Array) -> pa.Array:
    """Return each key once; Arrow does not compare structs."""
    if not pa.types.is_struct(keys.type):
        return keys.unique()
    table = pa.table({"key": _comparable(keys), "row": pa.array(range(len(keys)), pa.int64())})
    return keys.take(table.group_by("key").aggregate([("row", "min")])["row_min"].combine_chunks().sort())


def _comparable(keys: pa.Array) -> pa.Array:
    """Return keys that Arrow compares: those of several columns as one text, the parts with their lengths."""
    if not pa.types.is_struct(keys.type):
        return keys
    parts = [part.cast(pa.string()) for part in keys.flatten()]
    lengths = [pc.binary_length(part).cast(pa.string()) for part in parts]
    pieces = [piece for pair in zip(lengths, parts, strict=True) for piece in pair]
    return pc.binary_join_element_wise(*pieces, ":")
