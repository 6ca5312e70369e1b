"""Check the values that a run is given against the parameters that its notebook declares."""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from notebook_pipeline.connections import is_secret_name
from notebook_pipeline.errors import UsageError

Value = str | int | float | bool

TYPES = {"str": str, "int": int, "float": float, "bool": bool}
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
    """Describe one parameter; `type` is str, int, float or bool; a required one has no default.

    The default of an `injected` one is the value that an executed notebook was given.
    """

    name: str
    type: str
    default: Value | None
    help: str = ""
    required: bool = False
    injected: bool = False


def check_parameters(declared: Sequence[Parameter] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every declared parameter, the given ones in place of the defaults.

    Raises UsageError for unknown names, values of another type and missing required ones. Text is
    never turned into a number, nor a number into text; a whole number serves as a float.
    """
    if declared is None:
        declared = [Parameter(name, type(value).__name__, None) for name, value in given.items()]
    _refuse_unknown(declared, given)
    missing = [parameter.name for parameter in declared if parameter.required and parameter.name not in given]
    if missing:
        raise UsageError(f"missing parameter {', '.join(missing)}: it has no default, so give it a value")
    return {
        parameter.name: checked(parameter, given[parameter.name])
        if parameter.name in given
        else parameter.default
        for parameter in declared
    }


def parse_text(declared: Sequence[Parameter] | None, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the given texts as values of their declared types; booleans are `true` or `false`.

    Where nothing is declared, what reads as a number or a boolean is one. Raises UsageError for unknown
    names and for text that does not read as its type.
    """
    if declared is None:
        return {name: _guessed(text) for name, text in given.items()}
    _refuse_unknown(declared, given)
    known = {parameter.name: parameter for parameter in declared}
    return {name: checked(known[name], _parsed(name, known[name].type, text)) for name, text in given.items()}


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


def checked(parameter: Parameter, value: Any) -> Value:
    """Return a value if it is of the parameter's type, else raise UsageError; an int serves as a float."""
    wanted = TYPES[parameter.type]
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


def _guessed(text: str) -> Value:
    kinds = ("bool", "int", "float")
    for kind in kinds:
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
    wanted = {
        "bool": "`true` or `false`",
        "int": "a whole number",
        "float": "a number",
    }[kind]
    raise UsageError(f"parameter {name} is {_harmless(text)}; expected {wanted}")
