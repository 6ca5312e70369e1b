"""Know how a connection becomes HTTP sessions: its address, its credentials, and one without them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from notebook_pipeline import __version__
from notebook_pipeline.connections import Connection, base_url, is_secret_field
from notebook_pipeline.errors import UsageError

USER_AGENT = f"notebook-pipeline/{__version__}"

# What Airflow's HttpHook takes out of a connection's extra; everything else in it is a header.
_TRANSPORT_OPTIONS = ("verify", "verify_ssl", "cert", "proxies", "proxy", "trust_env")
_OTHER_OPTIONS = ("stream", "timeout", "allow_redirects", "max_redirects", "check_response", "srv_lookup")


def base_address(connection: Connection) -> str:
    """Return the connection's base URL without the login that may stand in it, or raise UsageError."""
    try:
        parts = urlsplit(base_url(connection))
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"connection {connection.conn_id!r} has no HTTP address: give host, schema (http, https) and port"
        )
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def asker(connection: Connection) -> str:
    """Return a digest of who asks for what: of the login and all headers, but of no password or token."""
    headers = _headers(connection).items()
    who = [_login(connection)[0], sorted((name, "" if is_secret_field(name) else it) for name, it in headers)]
    return hashlib.sha256(json.dumps(who).encode()).hexdigest()


def open_session(connection: Connection) -> requests.Session:
    """Return a pooled session that sends the connection's credentials: basic from its login, or headers."""
    session = open_stranger(connection)
    session.cert = _option(connection, "cert")
    session.headers.update(_headers(connection))
    login, password = _login(connection)
    if login:
        # As bytes, because requests would write text as latin-1.
        session.auth = HTTPBasicAuth(login.encode(), password.encode())
    return session


def open_stranger(connection: Connection) -> requests.Session:
    """Return a pooled session over the same network settings that sends no credential of any kind."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=4, max_retries=0))
    session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
    # Without an own auth requests would look for a login in ~/.netrc.
    session.auth = lambda request: request
    session.verify = _option(connection, "verify", "verify_ssl", default=True)
    session.proxies = _option(connection, "proxies", "proxy", default={})
    session.trust_env = _option(connection, "trust_env", default=True)
    return session


def _headers(connection: Connection) -> Mapping[str, str]:
    options = {*_TRANSPORT_OPTIONS, *_OTHER_OPTIONS}
    headers = {name: str(value) for name, value in connection.extra.items() if name not in options}
    for name, value in headers.items():
        if not (name.isascii() and name.isprintable() and value.isascii() and value.isprintable()):
            raise UsageError(
                f"connection {connection.conn_id!r}: the header {name!r} in its extra has a value that HTTP "
                "cannot carry; give printable ASCII without line breaks"
            )
    return headers


def _login(connection: Connection) -> tuple[str, str]:
    """Return login and password; HttpHook lets them stand in the host as well."""
    if connection.login:
        return connection.login, connection.password
    parts = urlsplit(base_url(connection))
    return unquote(parts.username or ""), unquote(parts.password or "")


def _option(connection: Connection, *names: str, default: Any = None) -> Any:
    return next((connection.extra[name] for name in names if name in connection.extra), default)
