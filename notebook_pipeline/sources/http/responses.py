"""Know what a server's answer says, and whether asking again may get a better one."""

from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Literal
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

Shape = Literal["list", "object", "any"]

PASSING_STATUSES = frozenset({408, 425, 429, *range(500, 600)} - {501, 505})
ASK_CONNECTION = "check the connection's host, schema and port, and whether the server is up"
ASK_SMALLER = "ask for a smaller page_size"

_EXCERPT = 100
_BRACKETS = {"list": (b"[", b"]"), "object": (b"{", b"}")}
_REMEDIES = {
    401: "check the login, password or token of the connection",
    403: "check what the connection's login or token may read",
    404: "check the connection's host, and the path behind it",
    **dict.fromkeys((400, 413, 422), f"do as the server says; if it is about the limit, {ASK_SMALLER}"),
    429: f"{ASK_SMALLER}, or ask at a quieter time",
}


@dataclass(frozen=True)
class Answer:
    """Hold what a server sent with status 200."""

    body: bytes
    content_type: str

    def excerpt(self) -> str:
        """Return the content type and the first characters, for an error."""
        return _excerpt(200, self.content_type, self.body)

    def check_shape(self, shape: Shape) -> None:
        """Raise a Fault where the body does not begin and end as JSON of this shape does."""
        if shape == "any":
            return
        first, last = _BRACKETS[shape]
        body = self.body.strip(b"\xef\xbb\xbf \t\r\n")
        if not (body.startswith(first) and body.endswith(last)):
            seen = f"{self.excerpt()}, where a JSON {shape} was expected"
            raise Fault(seen, f"look at the address in a browser; {ASK_CONNECTION}", is_passing=True)


class Fault(Exception):
    """Say what came instead of an answer; `is_passing` where another try may get one."""

    def __init__(self, seen: str, remedy: str, *, is_passing: bool, retry_after: str | None = None) -> None:
        super().__init__(seen)
        self.seen = seen
        self.remedy = remedy
        self.is_passing = is_passing
        self.retry_after = retry_after

    def after(self, target: str, is_stranger: bool) -> "Fault":
        """Return this fault as that of a redirect's target, to which a stranger brings no credentials."""
        where = f"redirected to {place(target)}{', without credentials' if is_stranger else ''}: {self.seen}"
        return Fault(where, self.remedy, is_passing=self.is_passing, retry_after=self.retry_after)


def refusal(response: requests.Response, mask: Callable[[str], str]) -> Fault:
    """Return the fault of an answer whose status is not 200; `mask` hides credentials that it repeats."""
    try:
        body = response.raw.read1(4 * _EXCERPT, decode_content=True)
    except (HTTPError, HTTPException, OSError):
        body = b""
    status = response.status_code
    seen = _excerpt(status, response.headers.get("content-type", ""), body, mask)
    return Fault(
        seen,
        _REMEDIES.get(status, ASK_CONNECTION),
        is_passing=status in PASSING_STATUSES,
        retry_after=response.headers.get("retry-after"),
    )


def _excerpt(status: int, content_type: str, body: bytes, mask: Callable[[str], str] = str) -> str:
    kind = content_type or "no content type"
    # Masked before it is cut, so that the cut cannot leave half a credential that no longer looks like one.
    text = mask(body[: 4 * _EXCERPT].decode("utf-8", "replace"))
    if not text.strip():
        return f"{status} ({kind}) with an empty body"
    return f"{status} ({kind}) {text[:_EXCERPT]!r}{'…' if len(text) > _EXCERPT else ''}"


def delay(retries: Retry, fault: Fault) -> float:
    """Return how many seconds the server asks to wait, at most `retry_after_max`, else the back-off."""
    try:
        asked = retries.parse_retry_after(fault.retry_after) if fault.retry_after else 0
    except (InvalidHeader, ValueError, OverflowError):
        asked = 0
    return asked or retries.get_backoff_time()


def reason(error: BaseException) -> str:
    """Return the innermost reason of a failed request in words."""
    seen = [error]
    while inner := seen[-1].__cause__ or seen[-1].__context__:
        seen.append(inner)
    root = next((found for found in reversed(seen) if isinstance(found, OSError)), seen[-1])
    if isinstance(root, requests.exceptions.InvalidURL):  # which repeats the address, that may hold a token
        return f"no address that can be asked ({type(root).__name__})"
    return f"no complete answer ({type(root).__name__}: {root})"


def place(url: str) -> str:
    """Return scheme, host, port and path of a URL that a server gave; the rest may hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
