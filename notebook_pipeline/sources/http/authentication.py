"""How the requests of a connection are authenticated: basic, key, bearer token or OAuth 2."""

import base64
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import quote_plus, unquote, unquote_plus, urlencode, urljoin, urlsplit, urlunsplit

import requests

from notebook_pipeline.connections import Connection, base_url
from notebook_pipeline.errors import UsageError
from notebook_pipeline.sources.http.addresses import base_address, shown_address
from notebook_pipeline.sources.http.responses import TryError, is_passing

TYPES = ("basic", "query", "header", "bearer", "oauth2")

_EARLY = 30
"""Seconds before its end at which a token is renewed."""


class Post(Protocol):
    """Send a POST request with a form to a URL, without the connection's credentials."""

    def __call__(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> requests.Response:
        """Return the response with its body unread."""
        ...


@dataclass(frozen=True)
class Authentication:
    """The declared kind of authentication; `name` is that of the parameter or header with the key."""

    type: str
    name: str
    login: str
    key: str

    def signed_url(self, url: str) -> str:
        """Return the URL as it is sent, with the key if that is a query parameter."""
        if self.type != "query":
            return url
        parts = urlsplit(self.unsigned_url(url))
        own = urlencode({self.name: self.key})
        return urlunsplit(parts._replace(query=f"{parts.query}&{own}" if parts.query else own))

    def unsigned_url(self, url: str) -> str:
        """Return a URL without the key, which a server may repeat in the address of the next page."""
        if self.type != "query":
            return url
        parts = urlsplit(url)
        kept = [pair for pair in parts.query.split("&") if unquote_plus(pair.partition("=")[0]) != self.name]
        return urlunsplit(parts._replace(query="&".join(kept)))

    def headers(self) -> dict[str, str]:
        """Return the headers that hold the credentials; OAuth 2 adds its own for each request."""
        if self.type == "header":
            return {self.name: self.key}
        if self.type == "bearer":
            return {"Authorization": f"Bearer {self.key}"}
        if self.type == "basic" and self.login:
            pair = f"{self.login}:{self.key}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}


NO_AUTHENTICATION = Authentication("basic", "", "", "")


def authentication(connection: Connection) -> Authentication:
    """Return how a connection's requests are authenticated; raise UsageError if `auth` is wrong."""
    given = connection.extra.get("auth")
    if not given:
        return Authentication("basic", "", *login(connection))
    if not isinstance(given, Mapping) or given.get("type") not in TYPES:
        raise _wrong(connection, f"an object whose type is one of {', '.join(TYPES)}")
    kind, name = str(given["type"]), str(given.get("name") or "")
    if kind in ("query", "header") and not (name and name.isascii() and name.isprintable()):
        raise _wrong(connection, f'{{"type": "{kind}", "name": …}} with the name of the {kind} parameter')
    if kind == "oauth2" and not given.get("token_url"):
        raise _wrong(connection, '{"type": "oauth2", "token_url": …} with the path or address of the token')
    user, key = login(connection)
    if not key and kind != "basic":
        what = "client's secret" if kind == "oauth2" else "token" if kind == "bearer" else "key"
        raise UsageError(
            f"connection {connection.conn_id!r} has no password; set it to the {what} that `auth` in its "
            f"extra sends as {kind}"
        )
    if kind in ("header", "bearer") and not (key.isascii() and key.isprintable()):
        raise UsageError(
            f"connection {connection.conn_id!r}: its password is sent as a header, which takes printable "
            "ASCII only; check it"
        )
    return Authentication(kind, name, user, key)


def login(connection: Connection) -> tuple[str, str]:
    """Return login and password, which may also be part of the host, as HttpHook allows."""
    if connection.login or connection.password:
        return connection.login, connection.password
    parts = urlsplit(base_url(connection))
    return unquote(parts.username or ""), unquote(parts.password or "")


class AccessToken:
    """The access token of OAuth 2 client credentials, in memory only; threads may share it."""

    def __init__(self, connection: Connection, post: Post) -> None:
        settings = cast("Mapping[str, object]", connection.extra["auth"])
        self._client = login(connection)
        self._form = {"grant_type": "client_credentials"}
        self._form |= {name: str(settings[name]) for name in ("scope", "audience") if settings.get(name)}
        self._url = _token_url(connection, str(settings["token_url"]))
        self._post = post
        self._lock = threading.Lock()
        self._token = ""
        self._ends = 0.0

    def get(self) -> str:
        """Return the token, requested only if there is none or if it is about to end."""
        with self._lock:
            if not self._token or time.monotonic() > self._ends:
                self._request()
            return self._token

    def refuse(self, token: str) -> None:
        """Forget a token that the server has refused, so that the next request gets a new one."""
        with self._lock:
            if token == self._token:
                self._token = ""

    def _request(self) -> None:
        user, secret = self._client
        # RFC 6749 has both encoded as in a form.
        basic = Authentication("basic", "", quote_plus(user), quote_plus(secret)).headers()
        response = self._post(self._url, self._form, basic)
        if response.status_code in (400, 401):
            # Some servers take the client's id and secret only as fields of the form.
            response.close()
            form = {**self._form, "client_id": user, "client_secret": secret}
            response = self._post(self._url, form, {})
        with response:
            self._take(response)

    def _take(self, response: requests.Response) -> None:
        # Neither body nor token is shown: only the status, and the error's own name.
        try:
            answer = json.loads(response.content)
        except ValueError:
            answer = None
        answer = answer if isinstance(answer, dict) else {}
        token = answer.get("access_token")
        if response.status_code != 200 or not isinstance(token, str) or not token.isascii() or not token:
            error = answer.get("error")
            seen = f"{response.status_code} without an access token from {shown_address(self._url)}"
            raise TryError(
                f"{seen} ({error})" if isinstance(error, str) else seen,
                "check login (client id), password (client secret) and `auth` of the connection",
                is_passing=is_passing(response.status_code),
                status=response.status_code,
            )
        self._token = token
        life = answer.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and life > 0 else 86_400.0
        self._ends = time.monotonic() + max(seconds - _EARLY, seconds / 2)


def _token_url(connection: Connection, given: str) -> str:
    if "://" in given:
        return given
    return urljoin(f"{base_address(connection)}/", given.lstrip("/"))


def _wrong(connection: Connection, expected: str) -> UsageError:
    return UsageError(f"connection {connection.conn_id!r}: `auth` in its extra must be {expected}")
