"""The differences between requests for pages and for files: headers, and what to do after an error."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from requests.utils import DEFAULT_ACCEPT_ENCODING

from notebook_pipeline.sources.http.addresses import shown_address
from notebook_pipeline.sources.http.responses import CREDENTIAL_REMEDIES

_SMALLER = "use a smaller page_size"


@dataclass(frozen=True)
class Kind:
    """A kind of request; a status not in `remedies` has the connection's remedy."""

    headers: Mapping[str, str]
    remedies: Mapping[int, str]
    when_large: str
    when_late: str


PAGE = Kind(
    headers={"Accept": "application/json", "Accept-Encoding": DEFAULT_ACCEPT_ENCODING},
    remedies={
        **CREDENTIAL_REMEDIES,
        **dict.fromkeys((400, 413, 422), f"follow the server's message; for one about the limit, {_SMALLER}"),
        429: f"{_SMALLER}, or run this at a quieter time",
    },
    when_large=_SMALLER,
    when_late="run this again; an update continues where it stopped",
)
FILE = Kind(
    # A file is requested as it is stored on the server, without content encoding.
    headers={"Accept": "*/*", "Accept-Encoding": "identity"},
    remedies={
        **CREDENTIAL_REMEDIES,
        429: "run this at a quieter time",
    },
    when_large="check that this is the right file; if so, set a larger `max_bytes` in the connection's extra",
    when_late="run this again, or set a larger `max_seconds` in the connection's extra",
)


@dataclass(frozen=True)
class Request:
    """A request; `what` and `shown` are its name and its address in messages.

    With a `body`, it is a POST request with this JSON. `statuses` are those that are expected.
    """

    kind: Kind
    url: str
    what: str
    shown: str
    decode: bool = True
    body: bytes | None = None
    statuses: frozenset[int] = frozenset({200})

    @property
    def method(self) -> str:
        """Return the method of HTTP."""
        return "GET" if self.body is None else "POST"


def page_request(url: str, what: str, body: bytes | None = None, also: Collection[int] = ()) -> Request:
    """Return the request for a page; its query identifies the page, and is shown.

    A page is expected with status 200 or 206, or with one of those in `also`.
    """
    return Request(PAGE, url, what, url, body=body, statuses=frozenset({200, 206, *also}))


def file_request(url: str, what: str, *, decode: bool) -> Request:
    """Return the request for a file; its query may contain a secret, and is not shown."""
    return Request(FILE, url, what, shown_address(url), decode)
