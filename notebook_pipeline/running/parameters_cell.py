"""Read a notebook's parameters cell: name, type, default and help of each parameter."""

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from notebook_pipeline.connections import is_secret_name
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.notebook_files import PYTHON, language_of
from notebook_pipeline.running.notebook_reader import read_notebook
from notebook_pipeline.running.parameters import TYPES, Parameter, checked

TAG = "parameters"
INJECTED_TAG = "injected-parameters"

_FORM = "expected lines of the form `name: type = literal  # help`"


def read_parameters(notebook: Path) -> list[Parameter] | None:
    """Return what the cell tagged `parameters` declares, in its order; none where there is no such cell.

    The result is None for a notebook of another language than Python: it is given whatever is asked for.
    Raises UsageError for a file that is no notebook and for a cell that is more than a list of
    parameters. An unchanged file is read once.
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
    """Return the parameters of an executed notebook, each with the value that it was given as its default."""
    for parameter in declared:
        if parameter.name in given:
            value = checked(parameter, given[parameter.name])
            parameter = replace(parameter, default=value, required=False, injected=True)
        yield parameter
    names = {parameter.name for parameter in declared}
    for name, value in given.items():
        if name not in names:
            yield Parameter(name, type(value).__name__, value, injected=True)


def _declared(source: str, place: str) -> tuple[Parameter, ...]:
    try:
        statements = ast.parse(source).body
        comments = _comments(source)
    except (SyntaxError, tokenize.TokenError) as error:
        raise UsageError(f"{place}: is not Python ({error}); {_FORM}") from None
    parameters = tuple(_parameter(statement, comments, place) for statement in statements)
    names = [parameter.name for parameter in parameters]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{place}: declares {', '.join(twice)} more than once")
    return parameters


def _comments(source: str) -> dict[int, str]:
    """Return the comment on each line, which is where a parameter's help stands."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("#").strip() for token in tokens if token.type == tokenize.COMMENT
    }


def _parameter(statement: ast.stmt, comments: Mapping[int, str], place: str) -> Parameter:
    place = f"{place}, line {statement.lineno}"
    name, kind, value = _parts(statement, place)
    if is_secret_name(name):
        raise UsageError(
            f"{place}: parameter {name} looks like a secret, and parameters are saved and shown; "
            "name a connection instead"
        )
    note = comments.get(statement.end_lineno or statement.lineno, "")
    if value is None:
        return Parameter(name, kind or "str", None, note, required=True)
    default = _literal(value, f"{place}: {name}")
    kind = kind or type(default).__name__
    if kind not in TYPES:
        raise UsageError(f"{place}: {name} is of type {kind}; expected one of {', '.join(TYPES)}")
    try:
        return Parameter(name, kind, checked(Parameter(name, kind, None), default), note)
    except UsageError as error:
        raise UsageError(f"{place}: default of {error}") from None


def _parts(statement: ast.stmt, place: str) -> tuple[str, str, ast.expr | None]:
    """Return the name, the annotation as written ("" for none) and the value of one declaration."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
            kind = ast.unparse(annotation)
            if kind not in TYPES:
                raise UsageError(
                    f"{place}: {name} is of type {kind}; expected one of {', '.join(TYPES)} "
                    '(use "" for a text that is not given)'
                )
            return name, kind, value
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, "", value
    raise UsageError(f"{place}: {ast.unparse(statement)[:60]!r} declares no parameter; {_FORM}")


def _literal(value: ast.expr, place: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise UsageError(
            f"{place} = {ast.unparse(value)[:60]} is not a literal; derive values in a later cell"
        ) from None
