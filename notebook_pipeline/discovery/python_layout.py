"""Python calls and tuples as text, laid out as formatters do: on one line, or item by item."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 88
_INDENT = "    "


@dataclass(frozen=True)
class Item:
    """An item of a call or a tuple: code or another call, by name or not, below its comments."""

    value: "Call | str"
    name: str = ""
    comments: Sequence[str] = ()


@dataclass(frozen=True)
class Call:
    """A call, or a tuple if `name` is empty; `trailing` comments come behind its items."""

    name: str
    items: Sequence[Item] = ()
    trailing: Sequence[str] = ()


def literal(value: object) -> str:
    """Return a value as code, text in double quotes unless that needs more escapes."""
    if isinstance(value, tuple):
        return one_line(tuple_of(value)) or "()"
    text = repr(value)
    if not isinstance(value, str) or ('"' in value and "'" not in value):
        return text
    if text[0] == '"':
        return text
    return '"' + text[1:-1].replace('"', '\\"').replace("\\'", "'") + '"'


def tuple_of(values: Sequence[object]) -> Call:
    """Return a tuple of plain values."""
    return Call("", [Item(literal(value)) for value in values])


def call(name: str, *values: object, **named: object) -> Call:
    """Return a call with plain values as arguments."""
    given = [Item(literal(value)) for value in values]
    return Call(name, [*given, *(Item(literal(value), name) for name, value in named.items())])


def laid_out(value: Call | str, before: str = "", indent: str = "", behind: str = "") -> list[str]:
    """Return the lines of a value, which stands behind `before` and is followed by `behind`."""
    short = one_line(value)
    if short is not None and (isinstance(value, str) or _fits(f"{indent}{before}{short}{behind}", value)):
        return [f"{indent}{before}{short}{behind}"]
    assert isinstance(value, Call)  # noqa: S101 - code without items always has one line
    inner = indent + _INDENT
    lines = [f"{indent}{before}{value.name}("]
    for item in value.items:
        lines += comment_lines(item.comments, inner)
        lines += laid_out(item.value, f"{item.name}=" if item.name else "", inner, ",")
    return [*lines, *comment_lines(value.trailing, inner), f"{indent}){behind}"]


def comment_lines(comments: Sequence[str], indent: str) -> list[str]:
    """Return comments as lines, broken where they are long."""
    return [
        line
        for comment in comments
        for line in textwrap.wrap(
            " ".join(comment.split()),
            WIDTH,
            initial_indent=f"{indent}# ",
            subsequent_indent=f"{indent}#   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


def one_line(value: Call | str) -> str | None:
    """Return a value on one line, or None if it has comments."""
    if isinstance(value, str):
        return value
    items = [one_line(item.value) for item in value.items]
    if value.trailing or any(item.comments for item in value.items) or None in items:
        return None
    texts = [
        f"{item.name}={text}" if item.name else str(text)
        for item, text in zip(value.items, items, strict=True)
    ]
    is_single = not value.name and len(texts) == 1
    return f"{value.name}({', '.join(texts)}{',' if is_single else ''})"


def _fits(line: str, value: Call) -> bool:
    return len(line) <= WIDTH or not value.items
