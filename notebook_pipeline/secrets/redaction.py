"""Masking of secrets in the output of a kernel, in all their known forms (see encodings.py)."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from notebook_pipeline.connections import Connection
from notebook_pipeline.secrets.encodings import credential_forms, forms
from notebook_pipeline.secrets.everyday_words import SHORT, is_weak

MASK = "***"
# A truncated text keeps its beginning, so this many characters are enough to recognise a long form.
LEAD = 20

_SCHEMES = ("basic", "bearer", "token", "apikey")


class Redactor:
    """Mask the secrets of connections.

    A weak secret, which is short or within one of `words`, cannot be told from ordinary text: it is masked
    only where a credential stands, and `warnings` names its connection.
    """

    def __init__(self, connections: Iterable[Connection] = (), words: Iterable[str] = ()) -> None:
        words = frozenset(words)
        owned = [(connection, secret) for connection in connections for secret in _secrets(connection)]
        weak = [(connection, secret) for connection, secret in owned if is_weak(secret, words)]
        self.warnings = [
            f"connection {conn_id!r} has a secret that is too weak to be masked everywhere: it has fewer "
            f"than {SHORT} characters, or is an everyday word here, such as the name of a dataset, a column "
            "or a parameter. It is masked only where a credential stands, such as in an authorization "
            "header; use a longer one"
            for conn_id in dict.fromkeys(connection.conn_id for connection, _ in weak)
        ]
        strong = [pair for pair in owned if pair not in weak]
        found = {form for connection, secret in strong for form in forms(secret, connection.login)}
        found |= {form for connection, secret in weak for form in credential_forms(secret, connection.login)}
        self._forms = sorted(found, key=lambda form: (-len(form), form))
        self._long_forms = [form for form in self._forms if len(form) >= SHORT]
        self._leads = {form[:LEAD].encode("utf-8", "replace") for form in self._long_forms}
        self._longest = max(map(len, self._forms), default=0)
        self._first = {form[0] for form in self._forms}

    def text(self, text: str) -> str:
        """Return the text with every known form masked."""
        return _masked(text, _spans(text, self._forms))

    def data(self, value: Any, *, binary: bool = False) -> Any:
        """Return a JSON value with the secrets in its strings and keys masked.

        If `binary`, strings are base64 images, in which short secrets are not masked.
        """
        if isinstance(value, str):
            return _masked(value, _spans(value, self._long_forms if binary else self._forms))
        if isinstance(value, dict):
            return {
                self.text(name): self.data(inner, binary=binary or _is_picture(name))
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.data(inner, binary=binary) for inner in value]
        return value

    def message(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of a kernel's message, masked, with the names that the protocol gives its parts.

        A secret may be one of these names, or that of a MIME type.
        """
        return {
            name: {kind: self.data(inner, binary=_is_picture(kind)) for kind, inner in part.items()}
            if name in ("data", "metadata") and isinstance(part, dict)
            else self.data(part)
            for name, part in content.items()
        }

    def is_in(self, content: str | bytes) -> bool:
        """Return True if a secret of at least SHORT characters occurs in a text or in bytes."""
        text = content.encode("utf-8", "replace") if isinstance(content, str) else content
        return any(lead in text for lead in self._leads)

    def split(self, text: str) -> tuple[str, str]:
        """Return the part of a text that can be shown now, masked, and the rest, which may begin a secret."""
        spans = _joined(_spans(text, self._forms))
        cut = self._open_from(text, 0)
        for start, end in spans:
            if start < cut < end:
                cut = self._open_from(text, end)
        return _masked(text[:cut], [span for span in spans if span[1] <= cut]), text[cut:]

    def _open_from(self, text: str, begin: int) -> int:
        """Return the start of the longest suffix that begins a known form without completing it."""
        for start in range(max(begin, len(text) - self._longest + 1), len(text)):
            if text[start] in self._first:
                tail = text[start:]
                if any(len(form) > len(tail) and form.startswith(tail) for form in self._forms):
                    return start
        return len(text)


class RedactedStream:
    """Mask a stream that arrives in pieces, holding back text that may be the beginning of a secret."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, text: str) -> str:
        """Add the next piece and return the text that can be shown so far."""
        shown, self._held = self._redactor.split(self._held + text)
        return shown

    def flush(self) -> str:
        """Return the text that was held back, at the end of the stream."""
        held, self._held = self._held, ""
        return self._redactor.text(held)


def _secrets(connection: Connection) -> set[str]:
    """Return a connection's secrets and those inside them: the token after a scheme, a Basic password."""
    found = set(connection.secrets())
    for scheme, _, token in [secret.partition(" ") for secret in found]:
        if token and scheme.lower() in _SCHEMES:
            found |= {token.strip(), _password_behind(token)}
    return found - {""}


def _password_behind(token: str) -> str:
    """Return the password encoded in the token of a Basic header, or "" if there is none."""
    try:
        return base64.b64decode(token, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _spans(text: str, forms: Iterable[str]) -> Iterator[tuple[int, int]]:
    for form in forms:
        lead = form[:LEAD]
        start = text.find(lead)
        while start >= 0:
            yield start, start + _common(text, start, form, len(lead))
            start = text.find(lead, start + 1)


def _common(text: str, start: int, form: str, length: int) -> int:
    while length < len(form) and text.startswith(form[length], start + length):
        length += 1
    return length


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts, at = [], 0
    for start, end in _joined(spans):
        parts += [text[at:start], MASK]
        at = end
    return "".join([*parts, text[at:]])


def _is_picture(name: str) -> bool:
    return name.startswith("image/") and name != "image/svg+xml"
