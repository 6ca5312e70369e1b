"""A notebook's parameters cell: name, type, default and help of each parameter."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.notebook_files import PYTHON, language_of
from notebook_pipeline.running.notebook_reader import read_notebook
from notebook_pipeline.running.parameters import TYPES, Parameter, checked, refuse_secret_parameter

TAG = "parameters"
INJECTED_TAG = "injected-parameters"

# A line of IPython syntax: a magic, or a shell command.
_MAGIC = re.compile(r"^[ \t]*[%!]", re.MULTILINE)
_OPTIONAL = re.compile(r"^(?:typing\.)?Optional\[(.*)\]$")
_TYPE_NAMES = {kind: name for name, kind in TYPES.items() if name != "any"} | {tuple: "list"}


def read_parameters(notebook: Path) -> list[Parameter] | None:
    """Return the parameters that the cell tagged `parameters` declares, in order; [] if there is none.

    Returns None if the notebook's language is not Python; such a notebook accepts any parameter. Raises
    UsageError if the file is not a notebook, or if the cell is not Python or declares a secret. An unchanged
    file is read only once.
    """
    try:
        status = notebook.stat()
        declared = _read(notebook, status.st_mtime_ns, status.st_size)
        return None if declared is None else list(declared)
    except OSError as error:
        raise UsageError(f"{notebook}: cannot be read as a notebook: {error.strerror}") from None


@lru_cache(maxsize=256)
def _read(notebook: Path, _changed: int, _size: int) -> tuple[Parameter, ...] | None:
    content = read_notebook(notebook.read_bytes(), str(notebook))
    if language_of(content["metadata"]) != PYTHON:
        return None
    declared = _of_cells(content["cells"], TAG, notebook)
    given = {
        parameter.name: parameter.default for parameter in _of_cells(content["cells"], INJECTED_TAG, notebook)
    }
    return tuple(_overlaid(declared, given))


def _of_cells(cells: Sequence[Mapping[str, Any]], tag: str, notebook: Path) -> tuple[Parameter, ...]:
    tagged = [cell for cell in cells if tag in cell["metadata"]["tags"]]
    if len(tagged) > 1:
        raise UsageError(f"{notebook}: {len(tagged)} cells are tagged `{tag}`; expected exactly one")
    source = tagged[0]["source"] if tagged else ""
    return _declared(source, f"{notebook}: {tag} cell")


def _overlaid(declared: Iterable[Parameter], given: Mapping[str, Any]) -> Iterator[Parameter]:
    """Yield the parameters of an executed notebook, each with the value that it was given as its default."""
    for parameter in declared:
        if parameter.name in given:
            value = checked(parameter, given[parameter.name])
            parameter = replace(parameter, default=value, required=False, injected=True, expression="")
        yield parameter
    names = {parameter.name for parameter in declared}
    for name, value in given.items():
        if name not in names:
            yield Parameter(name, "any", value, injected=True, optional=True)


def _declared(source: str, place: str) -> tuple[Parameter, ...]:
    """Return the parameters of a cell; other statements, and lines of IPython syntax, are ignored."""
    python = _MAGIC.sub("#", source)
    try:
        statements = ast.parse(python).body
        comments = _comments(python)
    except (SyntaxError, tokenize.TokenError) as error:
        raise UsageError(f"{place}: is not Python ({error})") from None
    found = [_parameter(statement, comments, place) for statement in statements]
    parameters = tuple(parameter for parameter in found if parameter)
    names = [parameter.name for parameter in parameters]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{place}: declares {', '.join(twice)} more than once")
    return parameters


def _comments(source: str) -> dict[int, str]:
    """Return the comment on each line by line number; that on a parameter's line is its help."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("#").strip() for token in tokens if token.type == tokenize.COMMENT
    }


def _parameter(statement: ast.stmt, comments: Mapping[int, str], place: str) -> Parameter | None:
    """Return the parameter that a statement declares, or None if it declares none."""
    place = f"{place}, line {statement.lineno}"
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
            kind, optional = _type_of(ast.unparse(annotation))
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            kind, optional = "", False
        case _:
            return None
    note = comments.get(statement.end_lineno or statement.lineno, "")
    if value is None:
        refuse_secret_parameter(name, None, f"{place}: ")
        return Parameter(name, kind or "str", None, note, required=True, optional=optional)
    default, expression = _literal(value)
    refuse_secret_parameter(name, default, f"{place}: ")
    optional = optional or (default is None and not expression)
    kind = kind or _TYPE_NAMES.get(type(default), "any")
    parameter = Parameter(name, kind, None, note, optional=optional or bool(expression))
    try:
        parameter = replace(parameter, default=checked(parameter, default), optional=optional)
    except UsageError as error:
        raise UsageError(f"{place}: default of {error}") from None
    return replace(parameter, expression=expression)


def _type_of(annotation: str) -> tuple[str, bool]:
    """Return the type that an annotation names, `any` if it is unknown, and whether None is allowed."""
    names = [name.strip() for name in _OPTIONAL.sub(r"\1 | None", annotation.strip("'\"")).split("|")]
    types = [name.partition("[")[0].lower() for name in names if name != "None"]
    known = len(types) == 1 and types[0] in TYPES
    return (types[0] if known else "any"), "None" in names


def _literal(value: ast.expr) -> tuple[Any, str]:
    """Return the value of a literal and "", or None and the text of any other expression."""
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None, ast.unparse(value)
    is_json = isinstance(literal, str | int | float | list | tuple | dict | None)
    return (literal, "") if is_json else (None, ast.unparse(value))
