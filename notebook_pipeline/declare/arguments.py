"""The check of a declaration's arguments against the type annotations of its class."""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Literal, Union

from notebook_pipeline.errors import UsageError

_WORDS = {
    "str": "text",
    "bool": "True or False",
    "int": "a whole number",
    "float": "a number",
    "NoneType": "None",
    "object": "values",
    "DataType": "an Arrow type such as pa.int64()",
}


class Declaration:
    """The base class of declarations, which are frozen dataclasses: it checks the arguments on creation."""

    def __post_init__(self) -> None:
        check_arguments(self)


def check_arguments(declared: Any) -> None:
    """Raise UsageError if an argument is not of the type that its field declares."""
    for field in fields(declared):
        value, expected = getattr(declared, field.name), _types(type(declared))[field.name]
        if not _is(value, expected):
            wrong = _wrong_items(value, expected)
            seen = f"contains {wrong[0]!r}" if wrong else f"is {value!r}"
            what = f"{type(declared).__name__}: {field.name}"
            raise UsageError(f"{what} {seen}; expected {_in_words(expected)}")


@cache
def _types(declaration: type) -> dict[str, Any]:
    return typing.get_type_hints(declaration)


def _is(value: object, expected: Any) -> bool:
    """Return True if a value is of a type; an int counts as a float, a bool never as a number."""
    origin, inner = typing.get_origin(expected), typing.get_args(expected)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin in (Union, types.UnionType):
        return any(_is(value, one) for one in inner)
    if origin in (tuple, Sequence):
        return isinstance(value, tuple) and all(_is(item, inner[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _is(key, inner[0]) and _is(item, inner[1]) for key, item in value.items()
        )
    if isinstance(value, bool):
        return expected is bool
    return isinstance(value, int | float if expected is float else expected)


def _wrong_items(value: object, expected: Any) -> list[object]:
    """Return the items of a tuple that do not have the expected item type."""
    if not isinstance(value, tuple) or typing.get_origin(expected) not in (tuple, Sequence):
        return []
    return [item for item in value if not _is(item, typing.get_args(expected)[0])]


def _in_words(expected: Any) -> str:
    origin, inner = typing.get_origin(expected), typing.get_args(expected)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin in (Union, types.UnionType):
        return " or ".join(map(_in_words, inner))
    if origin in (tuple, Sequence):
        return f"a tuple of {_in_words(inner[0])}"
    if origin is Mapping:
        return f"a mapping of {_in_words(inner[0])} to {_in_words(inner[1])}"
    name: str = expected.__name__
    return _WORDS.get(name, name)
