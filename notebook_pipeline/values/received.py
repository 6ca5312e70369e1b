"""Know rows as they were received: their columns converted, and each row spelled as JSON."""

import base64
import json
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import cast

import numpy as np
import orjson
import pyarrow as pa

from notebook_pipeline.batches import RawBatch
from notebook_pipeline.datasets import Dataset
from notebook_pipeline.values import cells
from notebook_pipeline.values.arrow import is_moment, spell_moments
from notebook_pipeline.values.cells import Breach, Cells


def convert(raw: RawBatch, dataset: Dataset) -> dict[str, Cells]:
    """Convert the declared columns of a batch; JSON rows have to be objects."""
    columns = raw.columns
    if columns is not None:
        return {
            field.name: cells.from_column(columns.column(field.name), field.type) for field in dataset.schema
        }
    rows = cast("Sequence[Mapping[str, object]]", raw.received)
    return {field.name: _field(rows, field, from_text=raw.from_text) for field in dataset.schema}


def _field(rows: Sequence[Mapping[str, object]], field: pa.Field, *, from_text: bool) -> Cells:
    try:
        return cells.from_values(list(map(itemgetter(field.name), rows)), field.type, from_text=from_text)
    except KeyError:
        found = cells.from_values([row.get(field.name) for row in rows], field.type, from_text=from_text)
    absent = np.fromiter((field.name not in row for row in rows), bool, len(rows))
    missing = Breach(absent, lambda index: "the field is missing")
    return Cells(found.values, found.stored, (missing, *found.breaches))


def spell(raw: RawBatch, rows: Sequence[int]) -> list[str]:
    """Return rows of a batch as JSON, in the given order."""
    if raw.columns is None or raw.columns is raw.typed:
        return [to_json(raw.received[row]) for row in rows]
    taken = raw.columns.take(pa.array(rows, pa.int64()))
    columns = [_plain(column) for column in taken.columns]
    return [
        to_json(dict(zip(taken.schema.names, values, strict=True))) for values in zip(*columns, strict=True)
    ]


def to_json(value: object) -> str:
    """Return a received value as JSON; bytes are text where they can be, else {"base64": …}."""
    try:
        return orjson.dumps(_text(value), default=_text).decode()
    except TypeError:  # an integer beyond 64 bits, or text that is not Unicode
        return json.dumps(value, default=_text)


def _text(value: object) -> object:
    if not isinstance(value, bytes):
        return value if isinstance(value, str | int | float | dict | list | None) else str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _plain(column: pa.Array) -> list[object]:
    """Return a column's values for JSON; moments as text, since Python's own are narrower than Arrow's."""
    try:
        return (spell_moments(column) if is_moment(column.type) else column).to_pylist()
    except (ArithmeticError, ValueError):  # a day beyond Python's years, deep in an undeclared list
        return [f"<{column.type}>"] * len(column)
