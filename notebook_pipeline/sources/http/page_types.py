"""How the declared columns appear in the JSON of a page, and numbers with more digits than a float keeps."""

from collections.abc import Iterable

import pyarrow as pa

from notebook_pipeline.declare import column_types
from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.declare.column import Column
from notebook_pipeline.declare.dataset import Dataset


def declared_shape(dataset: Dataset) -> pa.Schema | None:
    """Return the columns as Arrow reads them from JSON, or None if one must be read value by value."""
    fields = [field for column in dataset.columns if (field := _field(column))]
    return pa.schema(fields) if len(fields) == len(dataset.columns) else None


def _field(column: Column) -> pa.Field | None:
    kind = column.type
    is_exact = pa.types.is_decimal(kind) or column_types.is_json(kind)
    if column.path("api") != (column.name,) or is_exact:
        return None
    if pa.types.is_integer(kind):
        return pa.field(column.name, pa.int64())
    if pa.types.is_floating(kind):
        return pa.field(column.name, pa.float64())
    read = kind if pa.types.is_boolean(kind) else pa.string()
    return pa.field(column.name, read)


def loses_digits(rows: Iterable[object], dataset: Dataset, children: Iterable[Nested] = ()) -> bool:
    """Return True if a column that keeps all digits of its numbers has a float, which may have lost some.

    The columns of the dataset's children, in the lists nested in its rows, count as well.
    """
    rows = list(rows) if not isinstance(rows, list) else rows
    if any(_has_float(_at(row, path)) for path in _exact_paths(dataset) for row in rows):
        return True
    return any(_loses_digits_in(rows, nested) for nested in children)


def _loses_digits_in(rows: Iterable[object], nested: Nested) -> bool:
    lists = (_at(row, nested.child.path("api")) for row in rows)
    items = [item for found in lists if isinstance(found, list) for item in found]
    return any(_has_float(_at(item, path)) for path in _exact_paths(nested.dataset) for item in items)


def _exact_paths(dataset: Dataset) -> list[tuple[str, ...]]:
    """Return the paths of the columns that keep all digits of numbers."""
    kept = (column_types.is_text, pa.types.is_decimal, column_types.is_json)
    return [column.path("api") for column in dataset.columns if any(test(column.type) for test in kept)]


def _at(value: object, path: Iterable[str]) -> object:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _has_float(value: object) -> bool:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case float():
                return True
            case dict(inner):
                waiting += inner.values()
            case list(inner):
                waiting += inner
    return False
