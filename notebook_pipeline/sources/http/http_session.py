"""HTTP sessions of a connection: one that sends its credentials, and one that sends none."""

import hashlib
import json
from collections.abc import Mapping
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies

from notebook_pipeline import __version__
from notebook_pipeline.connections import Connection
from notebook_pipeline.secret_values import is_secret_field
from notebook_pipeline.sources.http import connection_settings
from notebook_pipeline.sources.http.authentication import (
    NO_AUTHENTICATION,
    AccessToken,
    Authentication,
    authentication,
    login,
)
from notebook_pipeline.sources.http.request_kinds import Request

USER_AGENT = f"notebook-pipeline/{__version__}"


def client_digest(connection: Connection) -> str:
    """Return a digest of the login and all headers, without passwords and tokens, to identify the client."""
    headers = connection_settings.headers(connection).items()
    who = [login(connection)[0], sorted((name, "" if is_secret_field(name) else it) for name, it in headers)]
    return hashlib.sha256(json.dumps(who).encode()).hexdigest()


class Sessions:
    """The sessions of a connection: requests to its own server are authenticated, others are not."""

    def __init__(self, connection: Connection) -> None:
        is_http = connection.conn_type in ("http", "https")
        self._authentication = authentication(connection) if is_http else NO_AUTHENTICATION
        self._anonymous = _open_anonymous(connection)
        self._home = _open_home(connection, self._authentication) if is_http else self._anonymous
        is_oauth = self._authentication.type == "oauth2"
        self._token = AccessToken(connection, self._post_form) if is_oauth else None
        self._used: list[str] = []
        self._timeout = (10.0, 60.0)

    def close(self) -> None:
        """Close all connections."""
        self._home.close()
        self._anonymous.close()

    def send(
        self, request: Request, url: str, timeout: tuple[float, float], *, is_home: bool
    ) -> requests.Response:
        """Send a request to a URL and return the response with its body unread; redirects are not followed.

        `timeout` is for connecting and for the next byte.
        """
        headers = dict(request.kind.headers)
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if not is_home:
            return _send(self._anonymous, url, headers, timeout, body=request.body)
        self._timeout = timeout
        url = self._authentication.signed_url(url)
        if not self._token:
            return _send(self._home, url, headers, timeout, body=request.body)
        token = self._used_token(self._token)
        response = _send(self._home, url, headers | _bearer(token), timeout, body=request.body)
        if response.status_code == 401:
            # The server may have ended the token early: a new one is requested once.
            response.close()
            self._token.refuse(token)
            token = self._used_token(self._token)
            response = _send(self._home, url, headers | _bearer(token), timeout, body=request.body)
        return response

    def unsigned_url(self, url: str) -> str:
        """Return a URL without the key, which a server may repeat in the address of the next page."""
        return self._authentication.unsigned_url(url)

    def tokens(self) -> list[Connection]:
        """Return connections whose secrets are the access tokens used so far."""
        return [Connection("token", "http", password=token) for token in self._used]

    def _used_token(self, access: AccessToken) -> str:
        token = access.get()
        if token not in self._used:
            self._used.append(token)
        return token

    def _post_form(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> requests.Response:
        own = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **headers}
        return _send(self._anonymous, url, own, self._timeout, body=urlencode(form).encode())


def _open_home(connection: Connection, signed: Authentication) -> requests.Session:
    """Return a pooled session that sends the connection's credentials that are headers."""
    session = _open_anonymous(connection)
    session.cert = connection_settings.certificate(connection)
    session.headers.update(connection_settings.headers(connection))
    session.headers.update(signed.headers())
    return session


def _open_anonymous(connection: Connection) -> requests.Session:
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


def _send(
    session: requests.Session,
    url: str,
    headers: Mapping[str, str],
    timeout: tuple[float, float],
    *,
    body: bytes | None = None,
) -> requests.Response:
    """Send a request and return the response with its body unread; redirects are not followed.

    With a `body` it is a POST request. The session's own headers take precedence over `headers`. `timeout` is
    for connecting and for the next byte.
    """
    missing = {name: value for name, value in headers.items() if name not in session.headers}
    method = "GET" if body is None else "POST"
    request = session.prepare_request(requests.Request(method, url, headers=missing, data=body))
    proxies = get_environ_proxies(url) if session.trust_env else session.proxies
    # Not session.get: it would read the body of a redirect, however long that is, and prefer the
    # environment's proxies and certificates to the connection's.
    return session.get_adapter(url).send(
        request, stream=True, timeout=timeout, verify=session.verify, cert=session.cert, proxies=proxies
    )


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
