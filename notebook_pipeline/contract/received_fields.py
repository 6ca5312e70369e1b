"""Where the declared columns are in what was received: columns by name, fields of JSON objects by path."""

from collections.abc import Mapping, Sequence
from operator import itemgetter

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.cells import Breach, Cells
from notebook_pipeline.contract.columns import from_column, from_values
from notebook_pipeline.contract.dates_and_times import Written
from notebook_pipeline.contract.kept_rows import decoded
from notebook_pipeline.contract.scalars import shown
from notebook_pipeline.declare.column import Column
from notebook_pipeline.declare.dataset import Dataset

Rows = Sequence[Mapping[str, object]]


class _Absent:
    """The value of a field that a row does not have."""


_ABSENT = _Absent()


def convert(raw: RawBatch, dataset: Dataset, given: Mapping[str, pa.Array] | None = None) -> dict[str, Cells]:
    """Convert the declared columns of a batch; JSON rows must be objects.

    Columns that are `given` in stored types are not looked for in the batch.
    """
    return {
        column.name: from_column(given[column.name], column.type)
        if given and column.name in given
        else _received(raw, column)
        for column in dataset.columns
    }


def _received(raw: RawBatch, column: Column) -> Cells:
    if raw.columns is not None:
        return _column(raw.columns, column, raw)
    return _field(raw.received, column, raw)  # type: ignore[arg-type]


def _written(column: Column, raw: RawBatch) -> Written:
    return Written(column.written(raw.family), column.zone)


def _column(columns: pa.RecordBatch, column: Column, raw: RawBatch) -> Cells:
    """Convert a column; one that a file need not have, and does not have, is null."""
    [name] = column.path(raw.family)
    place = columns.schema.get_field_index(name)
    received = columns.column(place) if place >= 0 else pa.nulls(columns.num_rows)
    return from_column(received, column.type, _written(column, raw))


def _field(rows: Rows, column: Column, raw: RawBatch) -> Cells:
    """Convert a field of all rows; one that is absent is null, if the column may be null."""
    path = column.path(raw.family)
    values, astray = _values(rows, path)
    absent = np.fromiter((value is _ABSENT for value in values), bool, len(values))
    if absent.any():
        values = [None if value is _ABSENT else value for value in values]
    if raw.from_text:
        values = [decoded(value) for value in values]
    found = from_values(values, column.type, _written(column, raw), from_text=raw.from_text)
    breaches = [*astray, *found.breaches]
    if not column.nullable and absent.any():
        breaches.insert(0, Breach(absent, lambda index: "the field is missing"))
    return Cells(found.values, found.stored, breaches)


def _values(rows: Rows, path: Sequence[str]) -> tuple[list[object], list[Breach]]:
    """Return the value at a path in every row, and a breach that marks rows in which a step leads nowhere."""
    if len(path) == 1:
        try:
            return list(map(itemgetter(path[0]), rows)), []
        except KeyError:
            return [row.get(path[0], _ABSENT) for row in rows], []
    values: list[object] = list(rows)
    astray = np.zeros(len(rows), bool)
    for step in path:
        for index, value in enumerate(values):
            if isinstance(value, Mapping):
                values[index] = value.get(step, _ABSENT)
            elif value is None:
                values[index] = _ABSENT
            elif value is not _ABSENT and not astray[index]:
                astray[index] = True
    seen = [value if astray[index] else None for index, value in enumerate(values)]
    kept = [None if astray[index] else value for index, value in enumerate(values)]
    where = ".".join(path)
    reason = Breach(
        astray, lambda index: f"{shown(seen[index])} is not a JSON object; expected one at {where}"
    )
    return kept, [reason] if astray.any() else []
