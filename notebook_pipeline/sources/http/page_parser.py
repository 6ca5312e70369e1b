"""The JSON of pages: read into columns at once while pages keep their shape, else value by value."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import cast, overload

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import is_number, pc
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare.child_datasets import children_of
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.paths import EACH, Path, path_steps
from notebook_pipeline.sources.http.answer_columns import (
    answer_type,
    are_exact,
    are_finite,
    around_rows,
    field_names,
    is_in_all,
    read_answer,
)
from notebook_pipeline.sources.http.answer_json import parse
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
        self._answer = answer_type(self.around, self._path, self._shape)
        if loses_digits(rows, self._dataset, self._children):
            rows = cast("list[object]", find(parse(body, exactly=True), self._path))
        return RawBatch(rows, position, deletions=self._marked(rows), family="api")

    def _columns(
        self, body: bytes, kind: pa.DataType
    ) -> tuple[pa.RecordBatch, pa.BooleanArray | None] | None:
        """Return the declared columns of a page, or None if any part of it does not match this shape."""
        answer = read_answer(body, kind)
        if answer is None or self._declared is None or not are_finite(answer):
            return None
        rows = answer
        for name in self._path:
            rows = rows.field(name)
        if rows.null_count:
            return None
        around, rows = around_rows(answer, self._path), rows.flatten()
        columns = pa.RecordBatch.from_struct_array(rows).select(self._declared.names)
        if not all(map(are_exact, columns.columns)):
            return None
        # A field that may be null may be missing as well.
        with_nulls = [
            column.name
            for column in self._dataset.columns
            if not column.nullable and columns.column(column.name).null_count
        ]
        if not all(is_in_all(len(rows), name, body, kind) for name in with_nulls):
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
        names = list(islice(field_names(shape or ()), WIDEST_SHAPE + 1))
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


def _without(answer: object, path: tuple[str, ...]) -> object:
    """Return a parsed answer without its rows."""
    if not path or not isinstance(answer, dict) or EACH in path:
        return answer if EACH in path else None
    return {**answer, path[0]: _without(answer.get(path[0]), path[1:])}
