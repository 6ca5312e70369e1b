"""Check the values that a run is given against the parameters that its notebook declares."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, cast
from urllib.parse import unquote

from notebook_pipeline.connections import is_secret_name
from notebook_pipeline.errors import UsageError

Value = str | int | float | bool | list | dict | None

# `any` is whatever JSON can hold.
TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict, "any": object}
# What a name ends in that stands for a secret; `max_tokens` and `tokenizer` do not.
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|pwd|secret|token|credentials?|bearer|authorization|cookie|apikey"
    r"|(?:api|access|private|secret|account)_?key|service_account|keyfile_dict)$",
    re.IGNORECASE,
)
_INT = re.compile(r"[+-]?[0-9]{1,300}", re.ASCII)
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_HARMLESS = re.compile(r"[-+0-9.,:_ TZe%]{0,40}|true|false|yes|no|on|off|none|null|nan|inf", re.IGNORECASE)
_ADDRESS_WITH_PASSWORD = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_ADDRESS_WITH_QUERY = re.compile(r"://[^\s?#]*\?(\S*)")
_FIELD = re.compile(r"(?:^|[&;])([^=&;]+)=")
# As presigned addresses call it: of Azure `sig`, of CloudFront `Signature`, of S3 `X-Amz-Signature`.
_SIGNATURE = re.compile(r"(^|\W)sig(nature)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Parameter:
    """One parameter; `type` is one of TYPES, and an `optional` one may be None.

    A required one has no default. The default of an `injected` one is the value that an executed notebook
    was given. A default that only running the cell can tell is kept as its `expression`.
    """

    name: str
    type: str
    default: Value
    help: str = ""
    required: bool = False
    injected: bool = False
    optional: bool = False
    expression: str = ""


def check_parameters(declared: Sequence[Parameter] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every declared parameter, the given ones in place of the defaults.

    Raises UsageError for unknown names, values of another type and missing required ones. Text is
    never turned into a number, nor a number into text; a whole number serves as a float.
    """
    if declared is None:
        declared = [Parameter(name, "any", None) for name in given]
    _refuse_unknown(declared, given)
    missing = [parameter.name for parameter in declared if parameter.required and parameter.name not in given]
    if missing:
        raise UsageError(f"missing parameter {', '.join(missing)}: it has no default, so give it a value")
    return {
        parameter.name: checked(parameter, given[parameter.name])
        if parameter.name in given
        else parameter.default
        for parameter in declared
        if parameter.name in given or not parameter.expression
    }


def parse_text(declared: Sequence[Parameter] | None, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the given texts as values of their declared types; booleans are `true` or `false`.

    Lists and dicts are given as JSON, and so is null for an optional parameter that is not a text. Where
    nothing is declared, what reads as a number or a boolean is one. Raises UsageError for unknown names and
    for text that does not read as its type.
    """
    if declared is None:
        return {name: _guessed(text) for name, text in given.items()}
    _refuse_unknown(declared, given)
    known = {parameter.name: parameter for parameter in declared}
    return {name: parsed(known[name], text) for name, text in given.items()}


def parsed(parameter: Parameter, text: str) -> Value:
    """Return a text as a value of the parameter's type; raise UsageError if it does not read as one."""
    if parameter.optional and parameter.type != "str" and text == "null":
        return None
    return checked(parameter, _parsed(parameter.name, parameter.type, text))


def _refuse_unknown(declared: Sequence[Parameter], given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        refuse_secret_parameter(name, value)
    unknown = sorted(set(given) - {parameter.name for parameter in declared})
    if unknown:
        there = ", ".join(f"{parameter.name}: {parameter.type}" for parameter in declared) or "none"
        raise UsageError(f"unknown parameter {', '.join(unknown)}; this notebook has {there}")


def refuse_secret_parameter(name: str, value: Any, place: str = "") -> None:
    """Raise UsageError if a parameter of this name and value is likely to be a secret."""
    if not isinstance(value, int | float | list) and _SECRET_NAME.search(name):
        raise UsageError(
            f"{place}parameter {name} looks like a secret, and parameters are saved and shown; "
            "name a connection instead"
        )


def checked(parameter: Parameter, value: Any) -> Value:
    """Return a value if it is of the parameter's type, else raise UsageError; an int serves as a float.

    A date or a moment becomes its ISO text.
    """
    wanted: type = TYPES[parameter.type]
    if isinstance(value, date) and parameter.type in ("str", "any"):
        value = value.isoformat()
    if value is None and parameter.optional:
        return None
    if parameter.type in ("list", "dict", "any"):
        return _checked_json(parameter, value)
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
    return cast("Value", value)


def _checked_json(parameter: Parameter, value: Any) -> Value:
    """Return a value that JSON can hold, all texts in it checked."""
    wanted = TYPES[parameter.type]
    if isinstance(value, tuple):
        value = list(value)
    if not isinstance(value, wanted):
        raise UsageError(f"parameter {parameter.name} is {_harmless(value)}; expected a {parameter.type}")
    try:
        plain = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise UsageError(
            f"parameter {parameter.name} is {_harmless(value)}; expected what JSON can hold"
        ) from None
    for text in _texts(plain):
        _refuse_undecodable(parameter.name, text)
        refuse_secret_address(parameter.name, text)
    return plain


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    if isinstance(inner, list):
        for item in inner:
            yield from _texts(item)


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


def _from_json(text: str, default: Value) -> Value:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return default


def _guessed(text: str) -> Value:
    for kind in ("bool", "int", "float"):
        with suppress(UsageError):
            return _parsed("", kind, text)
    return text


def _parsed(name: str, kind: str, text: str) -> Value:
    if kind == "str":
        return text
    if kind == "bool" and text in ("true", "false"):
        return text == "true"
    if kind == "int" and _INT.fullmatch(text):
        return int(text)
    if kind == "float" and _FLOAT.fullmatch(text):
        return float(text)
    if kind == "any":
        return _from_json(text, text)
    if kind in ("list", "dict") and isinstance(found := _from_json(text, None), TYPES[kind]):
        return found
    wanted = {
        "list": 'a JSON list, such as ["a", 1]',
        "dict": 'a JSON object, such as {"a": 1}',
        "bool": "`true` or `false`",
        "int": "a whole number",
        "float": "a number",
    }[kind]
    raise UsageError(f"parameter {name} is {_harmless(text)}; expected {wanted}")
