"""HTTP sessions of a connection: one that sends its credentials, and one that sends none."""

import hashlib
import json
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies

from notebook_pipeline import __version__
from notebook_pipeline.connections import Connection, base_url
from notebook_pipeline.secret_values import is_secret_field
from notebook_pipeline.sources.http import connection_settings

USER_AGENT = f"notebook-pipeline/{__version__}"


def client_digest(connection: Connection) -> str:
    """Return a digest of the login and all headers, without passwords and tokens, to identify the client."""
    headers = connection_settings.headers(connection).items()
    who = [_login(connection)[0], sorted((name, "" if is_secret_field(name) else it) for name, it in headers)]
    return hashlib.sha256(json.dumps(who).encode()).hexdigest()


def open_session(connection: Connection) -> requests.Session:
    """Return a pooled session that sends the connection's credentials: login (basic) and headers."""
    session = open_anonymous_session(connection)
    session.cert = connection_settings.certificate(connection)
    session.headers.update(connection_settings.headers(connection))
    login, password = _login(connection)
    if login:
        # As bytes, because requests would encode text as latin-1.
        session.auth = HTTPBasicAuth(login.encode(), password.encode())
    return session


def open_anonymous_session(connection: Connection) -> requests.Session:
    """Return a pooled session with the same network settings that sends no credentials."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=4, max_retries=0))
    session.headers = CaseInsensitiveDict({"User-Agent": USER_AGENT, "Connection": "keep-alive"})
    # Without this, requests would look for a login in ~/.netrc.
    session.auth = lambda request: request
    session.verify = connection_settings.verify(connection)
    proxies = connection_settings.proxies(connection)
    session.proxies = dict(proxies or {})
    session.trust_env = proxies is None and connection_settings.flag(connection, "trust_env")
    return session


def send(
    session: requests.Session, url: str, headers: Mapping[str, str], timeout: tuple[float, float]
) -> requests.Response:
    """Send a GET request and return the response with its body unread; redirects are not followed.

    The session's own headers take precedence over `headers`. `timeout` is for connecting and for the next
    byte.
    """
    missing = {name: value for name, value in headers.items() if name not in session.headers}
    request = session.prepare_request(requests.Request("GET", url, headers=missing))
    proxies = get_environ_proxies(url) if session.trust_env else session.proxies
    # Not session.get: it would read the body of a redirect, however long that is, and prefer the
    # environment's proxies and certificates to the connection's.
    return session.get_adapter(url).send(
        request, stream=True, timeout=timeout, verify=session.verify, cert=session.cert, proxies=proxies
    )


def _login(connection: Connection) -> tuple[str, str]:
    """Return login and password, which may also be part of the host, as HttpHook allows."""
    if connection.login:
        return connection.login, connection.password
    parts = urlsplit(base_url(connection))
    return unquote(parts.username or ""), unquote(parts.password or "")
