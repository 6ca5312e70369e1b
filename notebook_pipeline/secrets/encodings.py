"""The forms in which a secret may appear in a text: escaped, encoded, or both."""

import base64
import html
import json
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

SHORT = 6

_URL_SAFE = ("", "/", "!*'()~", "!$&'()*+,;=:@/?")


def written_forms(secret: str) -> set[str]:
    """Return the escaped forms of a secret and of each of its lines, escaped once or twice."""
    lines = [line for line in secret.splitlines() if len(line) >= SHORT and line != secret]
    plain = {secret, *lines}
    once = {escape(text) for text in plain for escape in _ESCAPES}
    twice = {escape(text) for text in once for escape in _ESCAPES}
    return {form for form in plain | once | twice if form}


def encoded_forms(secret: str, login: str) -> set[str]:
    """Return the base64 and hex forms of a secret, alone and after its login, without line breaks."""
    found = {form for text in _base64_forms(secret, login) for form in _base64_in(text)}
    return {form for form in {*found, *_hex_forms(secret)} if form}


def _hex_forms(secret: str) -> Iterator[str]:
    for encoding in ("utf-8", "latin-1"):
        value = secret.encode(encoding, "ignore")
        if len(value) >= SHORT:
            yield from (value.hex(), value.hex().upper())


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
    """Yield the forms of a base64 text: as it is, in a URL, and in the JSON of pandas."""
    yield from (text, _url("")(text), _url_lower(text), _json_slashes(text))


def _aligned(value: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """Yield the base64 characters that depend on the value alone, at the end of or inside a longer text."""
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
    """Return the JSON form that pandas' `to_json` and PHP write."""
    return _json(text).replace("/", "\\/")


def _quotes_doubled(mark: str) -> Callable[[str], str]:
    """Return the function that doubles a quotation mark, as CSV does with `"` and SQL with `'`."""
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
    """Return the URL form with lowercase hexadecimal digits, as some clients write it."""
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
