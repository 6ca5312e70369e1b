"""Rows nested in the rows of their parents: found in each good parent, and checked as rows of the child.

A list that is missing or null says nothing of the child's rows; an empty one says that there are none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import cast

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import Mask, mask, pc
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.check_batch import Checked, NestedRows, Rejected, check_batch
from notebook_pipeline.contract.columns import can_convert
from notebook_pipeline.contract.deletion_markers import chosen, readable_keys
from notebook_pipeline.contract.kept_rows import from_json, to_json
from notebook_pipeline.contract.scalars import shown
from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.errors import DataRefused


@dataclass(frozen=True)
class _Items:
    """The items of all lists, end to end, with the number of each one's parent and its place in its list.

    `are_objects` marks the items that can be rows. `stated` are the numbers of the parents with a list, and
    `others` the values that are no list where one was expected, by the numbers of their parents.
    """

    received: pa.RecordBatch | Sequence[object]
    are_objects: Mask
    parents: np.ndarray
    places: np.ndarray
    stated: np.ndarray
    others: Mapping[int, object]


def with_children(
    checked: Checked, nested: Sequence[Nested], today: date, *, keep: int | None = None
) -> Checked:
    """Return a checked batch with the rows of children that are nested in its good rows.

    At most `keep` rejected rows of each child are returned (None: every one); all are counted.
    """
    if not nested or checked.objects is None or checked.is_good is None:
        return checked
    rows = chosen(replace(checked.objects, malformed=()), checked.is_good)
    children = {
        one.dataset.name: _nested_rows(rows, checked.good, one, today, keep=keep)
        for one in nested
        if one.child.path(rows.family)
    }
    return replace(checked, objects=None, is_good=None, children=children)


def _nested_rows(
    rows: RawBatch, good: pa.RecordBatch, nested: Nested, today: date, *, keep: int | None
) -> NestedRows:
    path, dataset = nested.child.path(rows.family), nested.dataset
    items = _items(rows, path)
    field = ".".join(path)

    def position(item: int) -> str:
        return f"{rows.position(items.parents[item])}, {field}[{items.places[item]}]"

    whole = RawBatch(items.received, position, from_text=rows.from_text, family=rows.family)
    raw, parents = chosen(whole, items.are_objects), items.parents[items.are_objects]
    if raw.columns is not None:
        _refuse_types(raw.columns, nested, field)
    given = {
        name: good.column(column).take(pa.array(parents)) for name, column in nested.child.parent.items()
    }
    checked = check_batch(raw, dataset, today, keep=keep, given=given)
    bad = ~cast("Mask", checked.is_good)
    present, readable = _rejected_keys(raw, nested, given, bad)
    rejected = [
        *(
            Rejected(f"{rows.position(row)}, {field}", to_json(value), [f"{shown(value)} is not a list"])
            for row, value in items.others.items()
        ),
        *(_not_an_object(whole, item) for item in np.flatnonzero(~items.are_objects)[:keep].tolist()),
        *(
            replace(row, row=_completed(row.row, nested, rows, given, item))
            for item, row in zip(np.flatnonzero(bad).tolist(), checked.rejected, strict=False)
        ),
    ]
    unclear = [list(items.others), items.parents[~items.are_objects], parents[bad][~readable]]
    return NestedRows(
        checked.good,
        pa.array(parents[~bad]),
        pa.array(items.stated),
        pa.array(np.unique(np.concatenate(unclear).astype(np.int64))),
        present,
        pa.array(parents[bad][readable]),
        rejected[:keep],
        len(items.parents) + len(items.others),
    )


def _rejected_keys(
    raw: RawBatch, nested: Nested, given: Mapping[str, pa.Array], bad: Mask
) -> tuple[pa.RecordBatch, Mask]:
    """Return the keys of rejected rows that can be read, and which of these rows have one."""
    of_bad = {name: values.filter(pa.array(bad)) for name, values in given.items()}
    return readable_keys(chosen(raw, bad), nested.dataset, of_bad)


def _items(rows: RawBatch, path: Sequence[str]) -> _Items:
    if rows.columns is not None:
        return _of_column(rows.columns, path)
    lists: dict[int, list[object]] = {}
    others: dict[int, object] = {}
    for index, row in enumerate(rows.received):
        value = row
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, list):
            lists[index] = value
        elif value is not None:
            others[index] = value
    received = [item for values in lists.values() for item in values]
    lengths = np.array([len(values) for values in lists.values()], np.int64)
    are_objects = np.fromiter((isinstance(item, dict) for item in received), bool, len(received))
    stated = np.array(list(lists), np.int64)
    return _Items(received, are_objects, np.repeat(stated, lengths), _places(lengths), stated, others)


def _of_column(columns: pa.RecordBatch, path: Sequence[str]) -> _Items:
    """Return the items of a column of lists; a column of any other type has none."""
    found: pa.Array = pa.nulls(len(columns), pa.list_(pa.null()))
    place = columns.schema.get_field_index(path[0])
    if place >= 0:
        found = columns.column(place)
        for step in path[1:]:
            has_step = pa.types.is_struct(found.type) and found.type.get_field_index(step) >= 0
            found = pc.struct_field(found, step) if has_step else pa.nulls(len(columns))
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(is_kind(found.type) for is_kind in kinds):
        found = pa.nulls(len(columns), pa.list_(pa.null()))
    stated = np.flatnonzero(mask(found.is_valid()))
    lengths = pc.list_value_length(found).fill_null(0).cast(pa.int64()).to_numpy()
    parents, values = np.repeat(np.arange(len(found)), lengths), found.flatten()
    if not pa.types.is_struct(values.type):
        return _Items(values.to_pylist(), np.zeros(len(values), bool), parents, _places(lengths), stated, {})
    names = [field.name for field in values.type]
    received = pa.RecordBatch.from_arrays(values.flatten(), names)
    return _Items(received, mask(values.is_valid()), parents, _places(lengths), stated, {})


def _places(lengths: np.ndarray) -> np.ndarray:
    """Return the place of each item in its list, given the lengths of all lists."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _refuse_types(columns: pa.RecordBatch, nested: Nested, field: str) -> None:
    """Raise DataRefused if a nested column has a type that never converts."""
    for column in nested.dataset.columns:
        [name] = column.path("files")
        place = -1 if column.name in nested.child.parent else columns.schema.get_field_index(name)
        if place >= 0 and not can_convert(columns.column(place).type, column.type, column.written("files")):
            raise DataRefused(
                f"{nested.dataset.name}: found {field}[].{name} as {columns.column(place).type}, expected "
                f"{column.type}"
            )


def _not_an_object(raw: RawBatch, item: int) -> Rejected:
    value = None if raw.columns is not None else raw.received[item]
    return Rejected(raw.position(item), to_json(value), [f"{shown(value)} is not a JSON object"])


def _completed(row: str, nested: Nested, rows: RawBatch, given: Mapping[str, pa.Array], item: int) -> str:
    """Return a rejected row, as JSON, with the values of its parent, without which it cannot be replayed."""
    value = cast("dict[str, object]", from_json(row))
    for name, values in given.items():
        *above, last = nested.dataset.column(name).path(rows.family)
        inner = value
        for step in above:
            found = inner.get(step)
            below: dict[str, object] = dict(found) if isinstance(found, dict) else {}
            inner[step] = below
            inner = below
        inner[last] = values[item].as_py()
    return to_json(value)
