"""URLs: a connection's base URL, a comparison of servers, and URLs for display without secrets."""

import re
from urllib.parse import urlsplit, urlunsplit

from notebook_pipeline.connections import Connection, base_url
from notebook_pipeline.errors import UsageError

_PORTS = {"http": 80, "https": 443}


def base_address(connection: Connection) -> str:
    """Return the connection's base URL without a login in it, or raise UsageError."""
    try:
        parts = urlsplit(base_url(connection))
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"connection {connection.conn_id!r} has no HTTP address; set its host, schema (http or "
            "https) and port"
        )
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def is_same_server(url: str, other: str) -> bool:
    """Return True if two URLs have the same scheme, host and port."""
    try:
        return _origin(url) == _origin(other)
    except ValueError:  # one of them is not a URL
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def shown_address(url: str) -> str:
    """Return a URL without login, query and fragment, which may be secret; other text is unchanged."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    place, slash, path = re.split(r"[?#]", rest)[0].partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"
