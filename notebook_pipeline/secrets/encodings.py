"""The forms in which a secret is masked: plain, escaped, in base64 and in hexadecimal."""

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from notebook_pipeline.secrets.everyday_words import SHORT

_SCHEMES = ("Basic", "Bearer", "Token", "ApiKey")

_ESCAPES: tuple[Callable[[str], str], ...] = (
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: repr(text)[1:-1],
    lambda text: repr(f'"{text}')[2:-1],  # as in a text that contains both kinds of quotation marks
    html.escape,
    lambda text: html.escape(text, quote=False),
    lambda text: quote(text, errors="ignore"),
    lambda text: quote(text, safe="", errors="ignore"),
    lambda text: quote_plus(text, errors="ignore"),
)


def forms(secret: str, login: str) -> set[str]:
    """Return the forms of a secret, its lines also alone, and of the pair `login:secret` in base64.

    Escapes are applied once or twice, as for the JSON of an HTML text.
    """
    plain = {secret, *(line for line in secret.splitlines() if len(line) >= SHORT)}
    return (_escaped(plain) | _encoded(secret) | _base64(f"{login}:{secret}")) - {""}


def credential_forms(secret: str, login: str) -> set[str]:
    """Return the forms of a secret where a credential stands: in an address or in an authorization header."""
    address = {f"{login}:{secret}" if login else f":{secret}@", f"://{secret}@"}
    headers = {f"{written} {secret}" for scheme in _SCHEMES for written in (scheme, scheme.lower())}
    return _escaped(address | headers) | _base64(f"{login}:{secret}")


def _escaped(plain: set[str]) -> set[str]:
    once = {escape(text) for text in plain for escape in _ESCAPES}
    return plain | once | {escape(text) for text in once for escape in _ESCAPES}


def _encoded(text: str) -> set[str]:
    digits = text.encode("utf-8", "ignore").hex()
    return {digits, digits.upper(), *_base64(text)}


def _base64(text: str) -> set[str]:
    content = text.encode("utf-8", "ignore")
    found = {encode(content).decode() for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    return found | {code.rstrip("=") for code in found}
