"""An answer read by Arrow as one value: its type, its rows, and what Arrow does not distinguish in them."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyarrow import json as arrow_json

from notebook_pipeline.contract.arrow_functions import all_true, pc
from notebook_pipeline.contract.utf8 import is_utf8
from notebook_pipeline.declare.paths import EACH
from notebook_pipeline.sources.http.answer_json import BOM


def answer_type(around: object, path: tuple[str, ...], shape: pa.Schema | None) -> pa.DataType | None:
    """Return the type of a whole answer with rows of this shape, or None if there is none."""
    if shape is None or EACH in path:
        return None
    if not path:
        return pa.list_(pa.struct(list(shape)))
    if not isinstance(around, dict):
        return None
    first, others = path[0], path[1:]
    inner = answer_type(around.get(first), others, shape)
    if inner is None:
        return None
    try:
        beside = [(name, pa.infer_type([value])) for name, value in around.items() if name != first]
    except (pa.ArrowException, OverflowError, RecursionError):
        return None
    return pa.struct([*beside, (first, inner)])


def around_rows(answer: pa.Array, path: tuple[str, ...]) -> object:
    """Return an answer as a value, without its rows."""
    if not path:
        return None
    names = [field.name for field in answer.type]
    return {
        name: around_rows(answer.field(name), path[1:]) if name == path[0] else answer.field(name)[0].as_py()
        for name in names
    }


def read_answer(body: bytes, kind: pa.DataType) -> pa.Array | None:
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


def are_finite(values: pa.Array) -> bool:
    """Return True if all floats, including nested ones, are finite: JSON has no NaN, but Arrow reads it."""
    if pa.types.is_floating(values.type):
        return all_true(pc.is_finite(values))
    nested = values.flatten() if values.type.num_fields else []
    return all(map(are_finite, nested if isinstance(nested, list) else [nested]))


def are_exact(column: pa.Array) -> bool:
    """Return True if no number is so large that a float may stand for several integers."""
    return not pa.types.is_floating(column.type) or all_true(pc.less(pc.abs(column), 2.0**53))


def is_in_all(rows: int, name: str, body: bytes, answer: pa.DataType) -> bool:
    """Return True if every row has a field; Arrow does not distinguish null from missing.

    A name in quotes followed by a colon can only be a key: within a value, its quotes would be escaped.
    """
    key = f'"{name}'
    alike = [other for other in field_names([pa.field("", answer)]) if f'"{other}'.endswith(key)]
    return len(alike) == 1 and body.count(f'{key}":'.encode()) == rows


def field_names(fields: Iterable[pa.Field]) -> Iterator[str]:
    """Yield the names of fields, including nested ones."""
    for field in fields:
        yield field.name
        yield from field_names(field.type.field(index) for index in range(field.type.num_fields))
