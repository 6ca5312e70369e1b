"""The values that a run is given, checked against the parameters that its notebook declares."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, cast
from urllib.parse import unquote

from notebook_pipeline.errors import UsageError
from notebook_pipeline.secret_values import is_secret_name

Value = str | int | float | bool | list | dict | None

# `any` is any JSON value.
TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict, "any": object}
# The endings of the names of secrets; `max_tokens` and `tokenizer` do not match.
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
# In presigned URLs: `sig` (Azure), `Signature` (CloudFront), `X-Amz-Signature` (S3).
_SIGNATURE = re.compile(r"(^|\W)sig(nature)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Parameter:
    """One parameter; `type` is a key of TYPES, and the value of an `optional` one may be None.

    A required parameter has no default. The default of an `injected` one is the value that an executed
    notebook was given. A default that is known only by running the cell is stored as its `expression`.
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
    """Return the value of every declared parameter: the given one or else the default.

    Raises UsageError for unknown names, values of another type and missing required ones. Text is never
    converted to a number, nor a number to text; an int is accepted as a float.
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

    Lists and dicts are given as JSON, and `null` is None for an optional parameter that is not a text. If
    nothing is declared, text that is a number or a boolean is converted. Raises UsageError for unknown names
    and for text that is not valid for its type.
    """
    if declared is None:
        return {name: _guessed(text) for name, text in given.items()}
    _refuse_unknown(declared, given)
    known = {parameter.name: parameter for parameter in declared}
    return {name: parsed(known[name], text) for name, text in given.items()}


def parsed(parameter: Parameter, text: str) -> Value:
    """Return a text as a value of the parameter's type; raise UsageError if it is not valid for it."""
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
    """Raise UsageError if a parameter looks by its name as if it held a secret."""
    if not isinstance(value, int | float | list) and _SECRET_NAME.search(name):
        raise UsageError(
            f"{place}parameter {name} looks like a secret, and parameters are saved and shown; "
            "name a connection instead"
        )


def checked(parameter: Parameter, value: Any) -> Value:
    """Return a value of the parameter's type; raise UsageError if it has another.

    An int is accepted as a float. A date or a datetime is converted to ISO text.
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
    """Return a value as JSON holds it, after checking every text in it."""
    wanted = TYPES[parameter.type]
    if isinstance(value, tuple):
        value = list(value)
    if not isinstance(value, wanted):
        raise UsageError(f"parameter {parameter.name} is {_harmless(value)}; expected a {parameter.type}")
    try:
        plain = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise UsageError(f"parameter {parameter.name} is {_harmless(value)}; expected a JSON value") from None
    for text in _texts(plain):
        _refuse_undecodable(parameter.name, text)
        refuse_secret_address(parameter.name, text)
    return plain


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a JSON value, including keys."""
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
        raise UsageError(f"parameter {name} cannot be encoded as UTF-8; remove its lone surrogates") from None


def _harmless(value: Any) -> str:
    """Return what a message may show of a value: a number or a date, but only the length of other text."""
    if isinstance(value, str):
        return repr(value) if _HARMLESS.fullmatch(value) else f"a text of length {len(value)}"
    return repr(value) if value is None or isinstance(value, bool | int | float) else "not a single value"


def refuse_secret_address(name: str, text: str) -> None:
    """Raise UsageError if a parameter's value contains an address with a secret in it."""
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
            "saved and shown; name a connection that has the credentials instead"
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
