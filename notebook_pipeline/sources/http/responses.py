"""Responses and errors of a server: what was received, and whether a retry may help."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import BadStatusLine, HTTPException, RemoteDisconnected
from typing import Literal

import requests
from urllib3.exceptions import HTTPError

from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.http.addresses import shown_address
from notebook_pipeline.sources.http.answer_json import parse
from notebook_pipeline.sources.http.retries import PASSING_STATUSES, asked_pause

Shape = Literal["list", "object", "any"]

ASK_CONNECTION = "check the connection's host, schema and port, and whether the server is up"

# Every error that requests, urllib3, http.client and sockets raise; a ValueError is an invalid address or
# header.
NETWORK_ERRORS = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)

_EXCERPT = 100
_BRACKETS = {"list": (b"[", b"]"), "object": (b"{", b"}")}
_TRUST = (
    "set `verify` in the connection's extra to the file of the authority's certificates, and `cert` to the "
    "client's own certificate, or ask the server's owner for a valid one"
)
CREDENTIAL_REMEDIES = {
    401: "check the login, password or token of the connection",
    403: "check the permissions of the connection's login or token",
    404: "check the connection's host, and the path after it",
}
_PROTOCOL = "check the connection's schema (http or https) and port"
_OF_CONNECTION = {ASK_CONNECTION, *CREDENTIAL_REMEDIES.values()}
_OTHER_SERVER = "check that address; the connection's credentials are sent to its own server only"


@dataclass(frozen=True)
class Answer:
    """A response with an expected status, usually 200; the names of its headers are in lower case."""

    body: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def excerpt(self) -> str:
        """Return status, content type and the first characters, for an error message."""
        return _excerpt(self.status, self.content_type, self.body)

    def check_shape(self, shape: Shape) -> None:
        """Raise TryError if the body does not begin and end as JSON of this shape does."""
        if shape == "any":
            return
        first, last = _BRACKETS[shape]
        body = self.body.strip(b"\xef\xbb\xbf \t\r\n")
        if not (body.startswith(first) and body.endswith(last)):
            seen = f"{self.excerpt()}, expected a JSON {shape}"
            # A page of HTML may be a notice of maintenance; JSON of another shape stays so.
            is_other_json = body[:1] in (b"[", b"{") and parse(self.body) is not None
            remedy = f"compare it with the declaration, or open the address in a browser; {ASK_CONNECTION}"
            raise TryError(seen, remedy, is_passing=not is_other_json)


class TryError(Exception):
    """An error that came instead of an answer.

    `is_passing` is true if a retry may succeed; before it the server asks to wait `asked_pause` seconds.
    `status` is the status of the response, or 0 if there was none.
    """

    def __init__(
        self, seen: str, remedy: str, *, is_passing: bool, asked_pause: float = 0, status: int = 0
    ) -> None:
        super().__init__(seen)
        self.seen = seen
        self.remedy = remedy
        self.is_passing = is_passing
        self.asked_pause = asked_pause
        self.status = status

    def of_target(self, target: str, *, is_other_server: bool) -> "TryError":
        """Return this error as one of a redirect's target; another server was sent no credentials."""
        who = ", without credentials" if is_other_server else ""
        return self._changed(f"redirected to {shown_address(target)}{who}: {self.seen}", self.remedy)

    def of_other_server(self) -> "TryError":
        """Return this error as one of a server other than the connection's."""
        return self._changed(self.seen, _OTHER_SERVER if self.remedy in _OF_CONNECTION else self.remedy)

    def _changed(self, seen: str, remedy: str) -> "TryError":
        return TryError(
            seen, remedy, is_passing=self.is_passing, asked_pause=self.asked_pause, status=self.status
        )


class RequestError(PipelineError):
    """A request that failed for good; `status` is that of the response, or 0 if there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def refusal(response: requests.Response, remedies: Mapping[int, str], mask: Callable[[str], str]) -> TryError:
    """Return the error for a response with an unexpected status; `mask` hides credentials in its body."""
    try:
        body = response.raw.read1(4 * _EXCERPT, decode_content=True)
    except (HTTPError, HTTPException, OSError):
        body = b""
    status = response.status_code
    pause = asked_pause(status, response.headers)
    return TryError(
        _excerpt(status, response.headers.get("content-type", ""), body, mask),
        remedies.get(status, ASK_CONNECTION),
        is_passing=is_passing(status) or (status == 403 and pause is not None),
        asked_pause=pause or 0,
        status=status,
    )


def is_passing(status: int) -> bool:
    """Return True if a request with this status may succeed later."""
    return status in PASSING_STATUSES


def no_answer(error: BaseException) -> TryError:
    """Return the error for one of the NETWORK_ERRORS."""
    root = _innermost(error)
    if isinstance(root, requests.exceptions.InvalidURL):  # its text may contain a token
        seen = f"an invalid address ({type(root).__name__})"
    elif _is_of_certificate(root):
        return TryError(f"a certificate that was not accepted ({root})", _TRUST, is_passing=False)
    elif _is_other_protocol(root):
        return TryError(
            f"an answer that is not HTTP ({type(root).__name__}: {root})", _PROTOCOL, is_passing=False
        )
    else:
        seen = f"no complete answer ({type(root).__name__}: {root})"
    return TryError(seen, ASK_CONNECTION, is_passing=not isinstance(error, ValueError))


def _innermost(error: BaseException) -> BaseException:
    """Return the original error; the errors raised from it repeat the whole address."""
    chain = [error]
    while inner := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(inner)
    return next((found for found in reversed(chain) if isinstance(found, OSError)), chain[-1])


def _is_other_protocol(error: BaseException) -> bool:
    """Return True if another service answers at this port, or HTTP where HTTPS is expected."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason) in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
    return isinstance(error, BadStatusLine) and not isinstance(error, RemoteDisconnected)


def _is_of_certificate(error: BaseException) -> bool:
    """Return True if a certificate, the server's or the client's, was rejected or cannot be read."""
    if not isinstance(error, ssl.SSLError):
        return False
    reason = str(error.reason)
    return (
        isinstance(error, ssl.SSLCertVerificationError)
        or "CERTIFICATE" in reason
        or "CA" in reason.split("_")
    )


def _excerpt(status: int, content_type: str, body: bytes, mask: Callable[[str], str] = str) -> str:
    kind = content_type or "no content type"
    # Mask before truncating, because half a credential would not be recognised.
    text = mask(body[: 4 * _EXCERPT].decode("utf-8", "replace"))
    if not text.strip():
        return f"{status} ({kind}) with an empty body"
    return f"{status} ({kind}) {text[:_EXCERPT]!r}{'…' if len(text) > _EXCERPT else ''}"
