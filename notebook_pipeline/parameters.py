"""Read a notebook's parameters cell as a contract: name, type, default, help; and hold values to it."""

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from notebook_pipeline.connections import is_secret_name
from notebook_pipeline.errors import UsageError

TAG = "parameters"
INJECTED_TAG = "injected-parameters"

Value = str | int | float | bool

_TYPES = {"str": str, "int": int, "float": float, "bool": bool}
_INT = re.compile(r"[+-]?[0-9]{1,300}", re.ASCII)
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_HARMLESS = re.compile(r"[-+0-9.,:_ TZe%]{0,40}|true|false|yes|no|on|off|none|null|nan|inf", re.IGNORECASE)
_ADDRESS_WITH_PASSWORD = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_ADDRESS_WITH_QUERY = re.compile(r"://[^\s?#]*\?(\S*)")
_FIELD = re.compile(r"(?:^|[&;])([^=&;]+)=")
# As presigned addresses call it: of Azure `sig`, of CloudFront `Signature`, of S3 `X-Amz-Signature`.
_SIGNATURE = re.compile(r"(^|\W)sig(nature)?$", re.IGNORECASE)
_FORM = "expected lines of the form `name: type = literal  # help`"


@dataclass(frozen=True)
class Parameter:
    """Describe one parameter; `type` is str, int, float or bool; a required one has no default."""

    name: str
    type: str
    default: Value | None
    help: str = ""
    required: bool = False


def read_parameters(notebook: Path) -> list[Parameter]:
    """Return what the cell tagged `parameters` declares, in its order; none where there is no such cell.

    Raises UsageError for a file that is no notebook and for a cell that is more than a list of
    parameters. An unchanged file is read once.
    """
    try:
        status = notebook.stat()
        return list(_read(notebook, status.st_mtime_ns, status.st_size))
    except OSError as error:
        raise UsageError(f"{notebook}: cannot be read as a notebook: {error.strerror}") from None


def check_parameters(declared: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every declared parameter, the given ones in place of the defaults.

    Raises UsageError for unknown names, values of another type and missing required ones. Text is
    never turned into a number, nor a number into text; a whole number serves as a float.
    """
    _refuse_unknown(declared, given)
    missing = [parameter.name for parameter in declared if parameter.required and parameter.name not in given]
    if missing:
        raise UsageError(f"missing parameter {', '.join(missing)}: it has no default, so give it a value")
    return {
        parameter.name: _checked(parameter, given[parameter.name])
        if parameter.name in given
        else parameter.default
        for parameter in declared
    }


def parse_text(declared: Sequence[Parameter], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the given texts as values of their declared types; booleans are `true` or `false`.

    Raises UsageError for unknown names and for text that does not read as its type.
    """
    _refuse_unknown(declared, given)
    known = {parameter.name: parameter for parameter in declared}
    return {
        name: _checked(known[name], _parsed(name, known[name].type, text)) for name, text in given.items()
    }


@lru_cache(maxsize=256)
def _read(notebook: Path, _changed: int, _size: int) -> tuple[Parameter, ...]:
    cells = [cell for cell in _cells(notebook) if TAG in cell.get("metadata", {}).get("tags", [])]
    if len(cells) > 1:
        raise UsageError(f"{notebook}: {len(cells)} cells are tagged `{TAG}`; expected exactly one")
    if not cells:
        return ()
    source = cells[0]["source"]
    return _declared(
        source if isinstance(source, str) else "".join(source),
        f"{notebook}: parameters cell",
    )


def _cells(notebook: Path) -> list[dict[str, Any]]:
    """Return the cells of a file that is a notebook as far as everybody who reads it needs it to be one."""
    try:
        # Not as bytes: of those, JSON's reader would take encodings that Jupyter does not.
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        if all(_is_cell(cell) for cell in cells):
            return cells
    except (ValueError, KeyError, TypeError):
        pass
    raise UsageError(f"{notebook}: is not a notebook (JSON in UTF-8 with `cells`, nbformat 4)")


def _is_cell(cell: Any) -> bool:
    texts = (cell["cell_type"], "".join(cell["source"]))
    return all(isinstance(text, str) for text in texts) and isinstance(cell["metadata"], dict)


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
    if kind not in _TYPES:
        raise UsageError(f"{place}: {name} is of type {kind}; expected one of {', '.join(_TYPES)}")
    try:
        return Parameter(name, kind, _checked(Parameter(name, kind, None), default), note)
    except UsageError as error:
        raise UsageError(f"{place}: default of {error}") from None


def _parts(statement: ast.stmt, place: str) -> tuple[str, str, ast.expr | None]:
    """Return the name, the annotation as written ("" for none) and the value of one declaration."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
            kind = ast.unparse(annotation)
            if kind not in _TYPES:
                raise UsageError(
                    f"{place}: {name} is of type {kind}; expected one of {', '.join(_TYPES)} "
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


def _refuse_unknown(declared: Sequence[Parameter], given: Mapping[str, Any]) -> None:
    secret = sorted(name for name in given if is_secret_name(name))
    if secret:
        raise UsageError(
            f"parameter {', '.join(secret)} looks like a secret, and parameters are saved and shown; "
            "name a connection instead"
        )
    unknown = sorted(set(given) - {parameter.name for parameter in declared})
    if unknown:
        there = ", ".join(f"{parameter.name}: {parameter.type}" for parameter in declared) or "none"
        raise UsageError(f"unknown parameter {', '.join(unknown)}; this notebook has {there}")


def _checked(parameter: Parameter, value: Any) -> Value:
    wanted = _TYPES[parameter.type]
    if wanted is float and type(value) is int:
        value = _float(parameter.name, value)
    if type(value) is not wanted:
        raise UsageError(
            f"parameter {parameter.name} is {_harmless(value)} ({type(value).__name__}); "
            f"expected {parameter.type}"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"parameter {parameter.name} is {value}; expected a finite number")
    if isinstance(value, str):
        _refuse_undecodable(parameter.name, value)
        refuse_secret_address(parameter.name, value)
    return value


def _float(name: str, value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise UsageError(f"parameter {name} is too large for a float") from None


def _refuse_undecodable(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"parameter {name} is no valid UTF-8; expected text that is") from None


def _harmless(value: Any) -> str:
    """Return what may be said of a value: a number or a day; of text that may be a secret its length."""
    if isinstance(value, str):
        return repr(value) if _HARMLESS.fullmatch(value) else f"a text of length {len(value)}"
    return repr(value) if value is None or isinstance(value, bool | int | float) else "no single value"


def refuse_secret_address(name: str, text: str) -> None:
    """Raise UsageError where the value of a parameter holds an address with a secret in it."""
    if _ADDRESS_WITH_PASSWORD.search(text):
        raise UsageError(
            f"parameter {name} holds an address with a password, and parameters are saved and shown; "
            "put it into a connection instead"
        )
    fields = [
        unquote(field) for query in _ADDRESS_WITH_QUERY.findall(text) for field in _FIELD.findall(query)
    ]
    secret = next((field for field in fields if is_secret_name(field) or _SIGNATURE.search(field)), None)
    if secret:
        raise UsageError(
            f"parameter {name} holds an address with a secret in its query ({secret}), and parameters are "
            "saved and shown; name a connection that lets the run in instead"
        )


def _parsed(name: str, kind: str, text: str) -> Value:
    if kind == "str":
        return text
    if kind == "bool" and text in ("true", "false"):
        return text == "true"
    if kind == "int" and _INT.fullmatch(text):
        return int(text)
    if kind == "float" and _FLOAT.fullmatch(text):
        return float(text)
    wanted = {
        "bool": "`true` or `false`",
        "int": "a whole number",
        "float": "a number",
    }[kind]
    raise UsageError(f"parameter {name} is {_harmless(text)}; expected {wanted}")
