"""The columns of an API's rows: fields, and those of objects in them, one level deep."""

from collections.abc import Iterator, Mapping, Sequence

from notebook_pipeline.discovery.api_answers import as_path
from notebook_pipeline.discovery.column_names import column_names
from notebook_pipeline.discovery.seen_table import SeenColumn, SeenTable
from notebook_pipeline.discovery.value_columns_seen import json_column

_ROWS_IN_IT = "holds a list; do its items belong to a table of their own? Then declare them as children"

Row = Mapping[str, object]


def table_of(rows: Sequence[Row], *, is_whole: bool) -> SeenTable:
    """Return the columns of rows; lists of objects are ignored."""
    fields = [*dict.fromkeys(name for row in rows for name in row)]
    ignored = [name for name in fields if _is_list(rows, name)]
    steps = [path for name in fields if name not in ignored for path in _paths(rows, name)]
    names = column_names([path[0] if len(path) == 1 else "_".join(path) for path in steps])
    columns = [_column(path, name, rows) for path, name in zip(steps, names, strict=True)]
    return SeenTable(columns, len(rows), is_whole, [(name, _ROWS_IN_IT) for name in ignored])


def _column(path: Sequence[str], name: str, rows: Sequence[Row]) -> SeenColumn:
    at = name if [*path] == [name] else as_path(path)
    return json_column(at, name, [_value(row, path) for row in rows])


def _value(row: Row, path: Sequence[str]) -> object:
    value: object = row
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _paths(rows: Sequence[Row], name: str) -> Iterator[tuple[str, ...]]:
    values = [row[name] for row in rows if row.get(name) is not None]
    inner = [*dict.fromkeys(one for value in values if isinstance(value, Mapping) for one in value)]
    if inner and all(isinstance(value, Mapping) for value in values):
        yield from ((name, one) for one in inner)
    else:
        yield (name,)


def _is_list(rows: Sequence[Row], name: str) -> bool:
    """Return True if the values of a field are lists of objects, or all empty."""
    values = [row[name] for row in rows if row.get(name) is not None]
    if not values or not all(isinstance(value, list) for value in values):
        return False
    items = [item for value in values if isinstance(value, list) for item in value]
    return all(isinstance(item, Mapping) for item in items)
