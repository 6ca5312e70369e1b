"""Know how to read a file's body over HTTP: as it is stored, whole, and with credentials at home only."""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.files.locations import shown
from notebook_pipeline.sources.http.http_session import base_address, open_session, open_stranger

_CHUNK = 1 << 20
_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces
_MAX_REDIRECTS = 5
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
# A file is wanted as it lies on the server, not packed for the way.
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}


class Interrupted(Exception):
    """Say that a download failed in a way that may pass."""


def read_body(url: str, connection: Connection) -> Iterator[bytes]:
    """Yield the body of a URL; the connection's credentials go to its own server only.

    Raises Interrupted where another try may help, PipelineError where not.
    """
    for _ in range(_MAX_REDIRECTS + 1):
        with _session(url, connection) as session:
            try:
                with session.get(
                    url, stream=True, allow_redirects=False, timeout=_TIMEOUT, headers=_HEADERS
                ) as response:
                    target = session.get_redirect_target(response)
                    if not target:
                        yield from _body(response, url, connection)
                        return
            except (requests.RequestException, HTTPError, OSError) as error:
                if isinstance(error, ValueError):  # an address that no server was asked with
                    raise UsageError(f"GET {shown(url)}: not an address that HTTP can ask") from None
                raise Interrupted(f"GET {shown(url)}: {_innermost(error)}") from None
        url = _redirected(url, urljoin(url, target))
    raise PipelineError(
        f"GET {shown(url)}: more than {_MAX_REDIRECTS} redirects; give the address of the file itself"
    )


def _session(url: str, connection: Connection) -> requests.Session:
    return open_session(connection) if _is_home(url, connection) else open_stranger(connection)


def _is_home(url: str, connection: Connection) -> bool:
    """Say whether a URL is of the server that the connection's credentials are for."""
    if connection.conn_type not in ("http", "https"):
        return False
    return _origin(url) == _origin(base_address(connection))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _redirected(url: str, target: str) -> str:
    if urlsplit(target).scheme not in ("https", urlsplit(url).scheme):
        raise PipelineError(f"GET {shown(url)}: a redirect to {shown(target)}, which is not safe to follow")
    return target


def _body(response: requests.Response, url: str, connection: Connection) -> Iterator[bytes]:
    status = response.status_code
    if status in _PASSING:
        raise Interrupted(f"GET {shown(url)}: {status} {response.reason}")
    if status != 200:
        raise PipelineError(
            f"GET {shown(url)}: {status} {response.reason}, expected the file; check the source and "
            f"the host and login of connection {connection.conn_id!r}"
        )
    # What is packed by name (.gz) is not unpacked on the way, whatever a server calls it.
    yield from response.raw.stream(_CHUNK, decode_content=not urlsplit(url).path.endswith((".gz", ".zst")))


def _innermost(error: BaseException) -> str:
    """Return what began it; the errors around it repeat the whole address."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return f"{type(error).__name__}: {error}"
