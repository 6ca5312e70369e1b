"""Know secrets: find them in what a kernel says, in every form they are known to take, and mask them."""

import base64
import html
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from notebook_pipeline.connections import Connection

MASK = "***"
SHORT = 6
# Whoever cuts a long text short shows its beginning, so this much of a long form is enough to know it by.
LEAD = 20

_SCHEMES = ("basic", "bearer", "token", "apikey")
_URL_SAFE = ("", "/", "!*'()~", "!$&'()*+,;=:@/?")


class Redactor:
    """Mask the secrets of some connections; `warnings` names those too short to be hidden well."""

    def __init__(self, connections: Iterable[Connection] = ()) -> None:
        owned = [(connection, secret) for connection in connections for secret in _secrets(connection)]
        self.warnings = [
            f"connection {connection.conn_id!r} has a secret of fewer than {SHORT} characters: it is masked "
            "wherever its letters occur, but not in every encoding; use a longer one"
            for connection, secret in owned
            if len(secret) < SHORT
        ]
        found = {form for connection, secret in owned for form in _forms(secret, connection.login)}
        self._forms = sorted(found, key=lambda form: (-len(form), form))
        self._long_forms = [form for form in self._forms if len(form) >= SHORT]
        self._longest = max(map(len, self._forms), default=0)
        self._first = {form[0] for form in self._forms}

    def text(self, text: str) -> str:
        """Return the text with every known form masked."""
        return _masked(text, _spans(text, self._forms))

    def data(self, value: Any, *, binary: bool = False) -> Any:
        """Return a JSON value with every text in it masked, keys too; a `binary` text is a picture."""
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

    def is_in(self, said: str | bytes) -> bool:
        """Say whether a secret that is not a short one occurs in a text, or in what may be one."""
        if not self._long_forms:
            return False
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        return any(True for _ in _spans(text, self._long_forms))

    def split(self, text: str) -> tuple[str, str]:
        """Return what can be said of the text now, masked, and the rest, which may begin a secret."""
        spans = _joined(_spans(text, self._forms))
        cut = self._open_from(text, 0)
        for start, end in spans:
            if start < cut < end:
                cut = self._open_from(text, end)
        return _masked(text[:cut], [span for span in spans if span[1] <= cut]), text[cut:]

    def _open_from(self, text: str, begin: int) -> int:
        """Return where the longest suffix starts that begins a known form without completing it."""
        for start in range(max(begin, len(text) - self._longest + 1), len(text)):
            if text[start] in self._first:
                tail = text[start:]
                if any(len(form) > len(tail) and form.startswith(tail) for form in self._forms):
                    return start
        return len(text)


class RedactedStream:
    """Mask a stream that arrives in pieces: hold back what may be the beginning of a secret."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, text: str) -> str:
        """Take the next piece and return what can be said by now."""
        said, self._held = self._redactor.split(self._held + text)
        return said

    def flush(self) -> str:
        """Return what was held back; nothing follows."""
        held, self._held = self._held, ""
        return self._redactor.text(held)


def _secrets(connection: Connection) -> set[str]:
    """Return a connection's secrets, and what stands within them: a token behind its scheme, a password."""
    found = set(connection.secrets())
    for scheme, _, token in [secret.partition(" ") for secret in found]:
        if token and scheme.lower() in _SCHEMES:
            found |= {token.strip(), _password_behind(token)}
    return found - {""}


def _password_behind(token: str) -> str:
    """Return the password that a Basic header's token is made of, or nothing."""
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


def _forms(secret: str, login: str) -> set[str]:
    """Return every text that this secret is known to be written as."""
    lines = [line for line in secret.splitlines() if len(line) >= SHORT and line != secret]
    plain = {secret, *lines}
    once = {escape(text) for text in plain for escape in _ESCAPES}
    twice = {escape(text) for text in once for escape in _ESCAPES}
    encoded = {form for text in _base64_forms(secret, login) for form in _base64_in(text)}
    return {form for form in plain | once | twice | encoded if form}


def _base64_forms(secret: str, login: str) -> Iterator[str]:
    for encoding in ("utf-8", "latin-1"):
        value, pair = (text.encode(encoding, "ignore") for text in (secret, f"{login}:{secret}"))
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            for whole in (value, pair):
                if len(whole) >= SHORT:
                    yield from {encode(whole).decode(), encode(whole).decode().rstrip("=")}
            if len(value) >= SHORT:
                yield from _aligned(value, encode)


def _base64_in(text: str) -> Iterator[str]:
    """Return what becomes of base64 in an address or in pandas' JSON."""
    yield from (text, _url("")(text), _url_lower(text), _json_slashes(text))


def _aligned(value: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """Return the letters that the value alone decides, where it ends or stands within a longer text."""
    for before in range(3):
        text = encode(bytes(before) + value).decode().rstrip("=")[-(-before * 8 // 6) :]
        yield from {text, text[: (before + len(value)) * 8 // 6 - -(-before * 8 // 6)]}


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_utf8(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _json_in_html(text: str) -> str:
    marks = {mark: f"\\u{ord(mark):04x}" for mark in "<>&'"}
    return "".join(marks.get(mark, mark) for mark in _json(text))


def _json_slashes(text: str) -> str:
    """Return the form that pandas' `to_json` and PHP write."""
    return _json(text).replace("/", "\\/")


def _quotes_doubled(mark: str) -> Callable[[str], str]:
    """Return what CSV makes of a text with `"`, and SQL of one with `'`."""
    return lambda text: text.replace(mark, mark * 2)


def _ascii(text: str) -> str:
    return ascii(text)[1:-1]


def _repr(text: str) -> str:
    return repr(text)[1:-1]


def _repr_single(text: str) -> str:
    return repr('"' + text)[2:-1]


def _repr_bytes(text: str) -> str:
    return repr(text.encode())[2:-1]


def _html_text(text: str) -> str:
    return html.escape(text, quote=False)


def _html_decimal(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def _html_mixed(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;")


def _url(safe: str) -> Callable[[str], str]:
    return lambda text: quote(text, safe=safe, errors="ignore")


def _url_lower(text: str) -> str:
    """Return the URL's form with small hexadecimal digits, as some clients write it."""
    letters = quote(text, safe="", errors="ignore").split("%")
    return "%".join([letters[0], *(part[:2].lower() + part[2:] for part in letters[1:])])


def _form_field(text: str) -> str:
    return quote_plus(text, errors="ignore")


_ESCAPES: tuple[Callable[[str], str], ...] = (
    _json,
    _json_utf8,
    _json_in_html,
    _json_slashes,
    _quotes_doubled('"'),
    _quotes_doubled("'"),
    _ascii,
    _repr,
    _repr_single,
    _repr_bytes,
    html.escape,
    _html_text,
    _html_decimal,
    _html_mixed,
    *map(_url, _URL_SAFE),
    _url_lower,
    _form_field,
)
