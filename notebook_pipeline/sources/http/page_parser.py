"""The JSON of pages: read into columns at once while pages keep their shape, else value by value."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import cast, overload

import pyarrow as pa
from pyarrow import json as arrow_json

from notebook_pipeline.contract.arrow_functions import all_true, is_number, pc
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.utf8 import is_utf8
from notebook_pipeline.declare.child_datasets import children_of
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.paths import EACH, Path, path_steps
from notebook_pipeline.sources.http.answer_json import BOM, parse
from notebook_pipeline.sources.http.answer_paths import MISSING, find
from notebook_pipeline.sources.http.page_types import declared_shape, loses_digits

# Arrow fills each column of a shape for every row, even if no row of a page has that field.
WIDEST_SHAPE = 256


class Parser:
    """A parser of consecutive pages; `fields` are the names of all fields in any row.

    The rows are the list at the path `rows` of an answer; `around` is what the last answer holds beside them.
    A page that is parsed value by value determines the fields and their types. Later pages that match are
    read straight into columns, by Arrow and without Python's lock. If any value or field does not match, the
    page is parsed value by value; the results for its rows are the same. A shape that would exceed
    `WIDEST_SHAPE` columns, including nested fields, is determined again from the next page.
    """

    def __init__(self, dataset: Dataset, *, rows: Path = "", deleted_at: Path = "") -> None:
        self.fields: set[str] = set()
        self.around: object = None
        self._path = path_steps(rows)
        self._deleted_at = path_steps(deleted_at)
        self._dataset = dataset
        self._children = children_of(dataset)
        # None if a declared column cannot be read straight from JSON, and for rows that are nested.
        self._declared = None if dataset.children else declared_shape(dataset)
        self._shape: pa.Schema | None = None
        self._answer: pa.DataType | None = None

    def parse(self, body: bytes, page: int) -> RawBatch | None:
        """Return a page's rows, or None if there is no list; JSON is UTF-8, whatever a header says."""

        def position(row: int) -> str:
            return f"page {page}, row {row}"

        found = None if self._answer is None else self._columns(body, self._answer)
        if found:
            columns, deletions = found
            rows = _Unparsed(body, self._path, columns.num_rows)
            return RawBatch(rows, position, typed=columns, deletions=deletions, family="api")
        answer = parse(body)
        rows = find(answer, self._path)
        if rows is None and self._path:
            rows = []
        if not isinstance(rows, list):
            return None
        self.around = _without(answer, self._path)
        self._learn([row for row in rows if isinstance(row, dict)])
        self._answer = _answer_type(self.around, self._path, self._shape)
        if loses_digits(rows, self._dataset, self._children):
            rows = cast("list[object]", find(parse(body, exactly=True), self._path))
        return RawBatch(rows, position, deletions=self._marked(rows), family="api")

    def _columns(
        self, body: bytes, kind: pa.DataType
    ) -> tuple[pa.RecordBatch, pa.BooleanArray | None] | None:
        """Return the declared columns of a page, or None if any part of it does not match this shape."""
        answer = _read(body, kind)
        if answer is None or self._declared is None or not _are_finite(answer):
            return None
        rows = answer
        for name in self._path:
            rows = rows.field(name)
        if rows.null_count:
            return None
        around, rows = _around(answer, self._path), rows.flatten()
        columns = pa.RecordBatch.from_struct_array(rows).select(self._declared.names)
        if not all(map(_are_exact, columns.columns)):
            return None
        # A field that may be null may be missing as well.
        with_nulls = [
            column.name
            for column in self._dataset.columns
            if not column.nullable and columns.column(column.name).null_count
        ]
        if not all(_is_in_all(len(rows), name, body, kind) for name in with_nulls):
            return None
        self.around = around
        return columns, self._marked_columns(rows)

    def _marked(self, rows: Sequence[object]) -> pa.BooleanArray | None:
        """Return which rows are marked as deleted, or None if none is."""
        if not self._deleted_at:
            return None
        marks = [find(row, self._deleted_at) for row in rows]
        marked = [mark is not MISSING and mark not in (None, False, 0, "") for mark in marks]
        return pa.array(marked, pa.bool_()) if any(marked) else None

    def _marked_columns(self, rows: pa.StructArray) -> pa.BooleanArray | None:
        found: pa.Array = rows
        for name in self._deleted_at:
            if not pa.types.is_struct(found.type) or found.type.get_field_index(name) < 0:
                return None
            found = pc.struct_field(found, name)
        return self._marked_values(found) if self._deleted_at else None

    @staticmethod
    def _marked_values(values: pa.Array) -> pa.BooleanArray | None:
        marked = values.is_valid()
        kind = values.type
        if pa.types.is_boolean(kind) or pa.types.is_string(kind) or is_number(kind):
            unmarked = pa.scalar(
                "" if pa.types.is_string(kind) else False if pa.types.is_boolean(kind) else 0, kind
            )
            marked = pc.fill_null(pc.not_equal(values, unmarked), False)
        return marked if pc.any(marked).as_py() else None

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

    def __init__(self, body: bytes, path: tuple[str, ...], count: int) -> None:
        self._body = body
        self._path = path
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
        return cast("list[object]", find(parse(self._body), self._path))


def _type_of(name: str, rows: Iterable[Mapping[str, object]]) -> pa.DataType:
    return pa.infer_type([row.get(name) for row in rows])


def _answer_type(around: object, path: tuple[str, ...], shape: pa.Schema | None) -> pa.DataType | None:
    """Return the type of a whole answer with rows of this shape, or None if there is none."""
    if shape is None or EACH in path:
        return None
    if not path:
        return pa.list_(pa.struct(list(shape)))
    if not isinstance(around, dict):
        return None
    first, others = path[0], path[1:]
    inner = _answer_type(around.get(first), others, shape)
    if inner is None:
        return None
    try:
        beside = [(name, pa.infer_type([value])) for name, value in around.items() if name != first]
    except (pa.ArrowException, OverflowError, RecursionError):
        return None
    return pa.struct([*beside, (first, inner)])


def _around(answer: pa.Array, path: tuple[str, ...]) -> object:
    """Return an answer as a value, without its rows."""
    if not path:
        return None
    names = [field.name for field in answer.type]
    return {
        name: _around(answer.field(name), path[1:]) if name == path[0] else answer.field(name)[0].as_py()
        for name in names
    }


def _without(answer: object, path: tuple[str, ...]) -> object:
    """Return a parsed answer without its rows."""
    if not path or not isinstance(answer, dict) or EACH in path:
        return answer if EACH in path else None
    return {**answer, path[0]: _without(answer.get(path[0]), path[1:])}


def _read(body: bytes, kind: pa.DataType) -> pa.Array | None:
    """Read JSON of this type as the only value of an array, or return None if Arrow finds anything else.

    Arrow's reader expects a sequence of objects, so the answer is wrapped in one.
    """
    text = pa.py_buffer(b'{"answer":' + body.removeprefix(BOM) + b"}")
    whole = pa.schema([("answer", kind)])
    try:
        table = arrow_json.read_json(
            pa.BufferReader(text),
            arrow_json.ReadOptions(use_threads=False, block_size=len(text)),
            arrow_json.ParseOptions(whole, newlines_in_values=True, unexpected_field_behavior="error"),
        )
    except (pa.ArrowException, OverflowError):
        return None
    # A body that closes this object and opens another is not one answer.
    answers = table.column("answer")
    is_answer = len(answers) == 1 and answers.null_count == 0 and is_utf8(text)
    return answers.chunk(0) if is_answer else None


def _are_finite(values: pa.Array) -> bool:
    """Return True if all floats, including nested ones, are finite: JSON has no NaN, but Arrow reads it."""
    if pa.types.is_floating(values.type):
        return all_true(pc.is_finite(values))
    nested = values.flatten() if values.type.num_fields else []
    return all(map(_are_finite, nested if isinstance(nested, list) else [nested]))


def _are_exact(column: pa.Array) -> bool:
    """Return True if no number is so large that a float may stand for several integers."""
    return not pa.types.is_floating(column.type) or all_true(pc.less(pc.abs(column), 2.0**53))


def _is_in_all(rows: int, name: str, body: bytes, answer: pa.DataType) -> bool:
    """Return True if every row has a field; Arrow does not distinguish null from missing.

    A name in quotes followed by a colon can only be a key: within a value, its quotes would be escaped.
    """
    key = f'"{name}'
    alike = [other for other in _names([pa.field("", answer)]) if f'"{other}'.endswith(key)]
    return len(alike) == 1 and body.count(f'{key}":'.encode()) == rows


def _names(fields: Iterable[pa.Field]) -> Iterator[str]:
    """Yield the names of fields, including nested ones."""
    for field in fields:
        yield field.name
        yield from _names(field.type.field(index) for index in range(field.type.num_fields))
