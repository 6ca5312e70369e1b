"""The JSON of pages: read into columns at once while pages keep their shape, else value by value."""

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import overload

import orjson
import pyarrow as pa
from pyarrow import json as arrow_json

from notebook_pipeline.contract.arrow_functions import all_true, pc
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.utf8 import is_utf8
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.sources.http.page_types import declared_shape, loses_digits, parse_exactly

# Arrow fills each column of a shape for every row, even if no row of a page has that field.
WIDEST_SHAPE = 256

_BOM = b"\xef\xbb\xbf"
_NEAR = 20


class Parser:
    """A parser of consecutive pages; `fields` are the names of all fields in any row.

    A page that is parsed value by value determines the fields and their types. Later pages that match are
    read straight into columns, by Arrow and without Python's lock. If any value or field does not match, the
    page is parsed value by value; the results for its rows are the same. A shape that would exceed
    `WIDEST_SHAPE` columns, including nested fields, is determined again from the next page.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.fields: set[str] = set()
        self._dataset = dataset
        # None if a declared column cannot be read straight from JSON.
        self._declared = declared_shape(dataset)
        self._shape: pa.Schema | None = None

    def parse(self, body: bytes, page: int) -> RawBatch | None:
        """Return a page's rows, or None if it is not a JSON list; JSON is UTF-8, whatever a header says."""

        def position(row: int) -> str:
            return f"page {page}, row {row}"

        columns = self._shape and self._columns(body, self._shape)
        if columns:
            return RawBatch(_Unparsed(body, columns.num_rows), position, typed=columns, family="api")
        rows = parse(body)
        if not isinstance(rows, list):
            return None
        self._learn([row for row in rows if isinstance(row, dict)])
        if loses_digits(rows, self._dataset):
            rows = parse_exactly(body.removeprefix(_BOM))
        return RawBatch(rows, position, family="api")

    def _columns(self, body: bytes, shape: pa.Schema) -> pa.RecordBatch | None:
        """Return the declared columns of a page, or None if any part of it does not match this shape."""
        rows = _read(body, shape)
        if rows is None or self._declared is None or not _are_finite(rows):
            return None
        columns = pa.RecordBatch.from_struct_array(rows).select(self._declared.names)
        if not all(map(_are_exact, columns.columns)):
            return None
        # A field that may be null may be missing as well.
        with_nulls = [
            column.name
            for column in self._dataset.columns
            if not column.nullable and columns.column(column.name).null_count
        ]
        return columns if all(_is_in_all(len(rows), name, body, shape) for name in with_nulls) else None

    def _learn(self, rows: Sequence[Mapping[str, object]]) -> None:
        fields = set(chain.from_iterable(rows))
        self.fields |= fields
        is_narrow = self._declared is not None and len(fields) <= WIDEST_SHAPE
        shape = self._widened(self._declared, fields, rows) if self._declared and is_narrow else None
        names = list(islice(_names(shape or ()), WIDEST_SHAPE + 1))
        self._shape = shape if len(names) <= WIDEST_SHAPE else None

    def _widened(
        self, declared: pa.Schema, fields: set[str], rows: Sequence[Mapping[str, object]]
    ) -> pa.Schema | None:
        """Return the shape extended to fit these rows, or None if there is none."""
        try:
            others = [(name, _type_of(name, rows)) for name in sorted(fields - {*declared.names})]
            seen = pa.schema([*declared, *others])
            return pa.unify_schemas([self._shape or seen, seen], promote_options="permissive")
        # Values of several types, or nested very deeply, do not fit into a column.
        except (pa.ArrowException, OverflowError, RecursionError):
            return None


class _Unparsed(Sequence[object]):
    """The rows of a page as text, parsed only if one is accessed, to be shown as received."""

    def __init__(self, body: bytes, count: int) -> None:
        self._body = body
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> object: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[object]: ...

    def __getitem__(self, index: int | slice) -> object:
        return self._rows[index]

    @cached_property
    def _rows(self) -> list[object]:
        return orjson.loads(self._body)


def parse(body: bytes) -> object:
    """Return the value of JSON in UTF-8, or None if it is not JSON."""
    # Everything created here stays in use until the page is done: garbage collection would find nothing, and
    # would take as long as the parsing itself.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return None
    finally:
        if was_enabled:
            gc.enable()


def json_error(body: bytes) -> str:
    """Return where and why a body is not JSON, in parentheses after a space, or "" if it is JSON."""
    try:
        orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        near = error.doc[max(error.pos - _NEAR, 0) : error.pos + _NEAR]
        return f" ({error.msg}{f', near {near!r}' if near else ''})"
    return ""


def _type_of(name: str, rows: Iterable[Mapping[str, object]]) -> pa.DataType:
    return pa.infer_type([row.get(name) for row in rows])


def _read(body: bytes, shape: pa.Schema) -> pa.StructArray | None:
    """Read a JSON list of objects, or return None if Arrow finds anything else.

    Arrow's reader expects a sequence of objects, so the list is wrapped in one object.
    """
    text = pa.py_buffer(b'{"rows":' + body + b"}")
    whole = pa.schema([("rows", pa.list_(pa.struct(list(shape))))])
    try:
        table = arrow_json.read_json(
            pa.BufferReader(text),
            arrow_json.ReadOptions(use_threads=False, block_size=len(text)),
            arrow_json.ParseOptions(whole, newlines_in_values=True, unexpected_field_behavior="error"),
        )
    except (pa.ArrowException, OverflowError):
        return None
    # A body that closes this object and opens another is not a list.
    lists = table.column("rows")
    is_list = len(lists) == 1 and is_utf8(text)
    return lists.chunk(0).flatten() if is_list else None


def _are_finite(values: pa.Array) -> bool:
    """Return True if all floats, including nested ones, are finite: JSON has no NaN, but Arrow reads it."""
    if pa.types.is_floating(values.type):
        return all_true(pc.is_finite(values))
    nested = values.flatten() if values.type.num_fields else []
    return all(map(_are_finite, nested if isinstance(nested, list) else [nested]))


def _are_exact(column: pa.Array) -> bool:
    """Return True if no number is so large that a float may stand for several integers."""
    return not pa.types.is_floating(column.type) or all_true(pc.less(pc.abs(column), 2.0**53))


def _is_in_all(rows: int, name: str, body: bytes, shape: pa.Schema) -> bool:
    """Return True if every row has a field; Arrow does not distinguish null from missing.

    A name in quotes followed by a colon can only be a key: within a value, its quotes would be escaped.
    """
    key = f'"{name}'
    alike = [other for other in _names(shape) if f'"{other}'.endswith(key)]
    return len(alike) == 1 and body.count(f'{key}":'.encode()) == rows


def _names(fields: Iterable[pa.Field]) -> Iterator[str]:
    """Yield the names of fields, including nested ones."""
    for field in fields:
        yield field.name
        yield from _names(field.type.field(index) for index in range(field.type.num_fields))
