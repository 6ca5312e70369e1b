"""Turn a connection id into host, login and extra, as Airflow would; never show a secret."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from notebook_pipeline import settings
from notebook_pipeline.errors import UsageError

PREFIX = "AIRFLOW_CONN_"
DATABASE = "analytics_database"
API = "sportsworldcentral_url"
FILES = "repository_raw_url"

_SECRET_WORDS = (
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "service_account",
    "keyfile_dict",
    "passphrase",
    "credential",
    "bearer",
    "_pwd",
    "authorization",
    "cookie",
)
# Among parameters and columns these words are common; at the end of a variable's or a header's name they
# tell a secret.
_SECRET_ENDING = re.compile(r"(?:^|_)(?:keys?|pat|dsn|pass|pw|creds|auth|jwt|sas|session_id|webhook)$")
_SHORT, _LONG = 6, 16


@dataclass(frozen=True)
class Connection:
    """Hold one connection's parts, named as in Airflow; what may hold a secret stays out of its repr."""

    conn_id: str
    conn_type: str
    host: str = field(default="", repr=False)
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    schema: str = ""
    port: int | None = None
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)

    def secrets(self) -> list[str]:
        """Return every value of this connection that must never be seen, longest first."""
        # What names a file may hold an @, but no password.
        host = [] if self.conn_type in ("sqlite", "fs") else _password_in(self.host)
        named = _secret_values(self.extra, is_secret_name)
        ended = filter(_looks_random, _secret_values(self.extra, is_secret_field))
        found = {self.password, *host, *named, *ended}
        if not any(found) and self.conn_type in ("http", "https") and _looks_random(self.login, _LONG):
            found.add(self.login)  # without any password or header, it is an API's key
        return sorted((value for value in found if value), key=len, reverse=True)

    def to_json(self) -> str:
        """Return the JSON form that Airflow and `resolve` read from an environment variable."""
        parts = {
            "conn_type": self.conn_type,
            "host": self.host,
            "login": self.login,
            "password": self.password,
            "schema": self.schema,
            "port": self.port,
            "extra": dict(self.extra),
        }
        return json.dumps({name: value for name, value in parts.items() if value})


def is_secret_name(name: str) -> bool:
    """Say whether whatever has this name, a parameter too, is likely to hold a secret."""
    return any(word in _plain(name) for word in _SECRET_WORDS)


def is_secret_field(name: str) -> bool:
    """Say whether a variable, a header or an extra field of this name is likely to hold a secret."""
    return is_secret_name(name) or bool(_SECRET_ENDING.search(_plain(name)))


def variable(conn_id: str) -> str:
    """Return the environment variable that holds the connection `conn_id`."""
    return PREFIX + conn_id.upper()


def resolve(conn_id: str) -> Connection:
    """Return the connection from its environment variable, else the default that a checkout works with.

    Raises UsageError where the id is unknown or the variable cannot be read.
    """
    text = os.environ.get(variable(conn_id), "").strip()
    if not text:
        return default(conn_id)
    return _from_json(conn_id, text) if text.startswith("{") else _from_uri(conn_id, text)


def default(conn_id: str) -> Connection:
    """Return the connection that works in a fresh checkout, or raise UsageError."""
    if conn_id == DATABASE:
        path = str(settings.database())
        if "?" in path:
            raise UsageError(f"{path}: a connection ends a file's path at `?`; choose another output folder")
        return Connection(conn_id, "sqlite", host=path)
    if conn_id == API:
        return Connection(conn_id, "http", host="127.0.0.1", port=8000, schema="http")
    if conn_id == FILES:
        return Connection(conn_id, "fs", extra={"path": str(settings.data())})
    raise UsageError(f"no connection {conn_id!r}: set {variable(conn_id)} to its JSON or URI form")


def sqlite_path(connection: Connection) -> Path:
    """Return the file that a sqlite connection names; a relative path means the checkout."""
    name = connection.host or (f"/{connection.schema}" if connection.schema else "")
    if not name:
        raise UsageError(f"connection {connection.conn_id!r} names no file: give the SQLite path as its host")
    return settings.home() / settings.expanded(name.split("?")[0])


def postgres_uri(connection: Connection) -> str:
    """Return the URI by which libpq finds a postgres connection; its extra holds libpq's own parameters."""
    login, password, database = (
        quote(part, safe="") for part in (connection.login, connection.password, connection.schema)
    )
    who = f"{login}:{password}@" if password else f"{login}@" if login else ""
    # An address of IPv6 stands in brackets, a socket's folder is a host too.
    host = f"[{connection.host}]" if ":" in connection.host else quote(connection.host, safe=",")
    port = f":{connection.port}" if connection.port else ""
    options = {"connect_timeout": "15", "application_name": "notebook_pipeline", **connection.extra}
    return f"postgresql://{who}{host}{port}/{database}?{urlencode(options, quote_via=quote)}"


def base_url(connection: Connection) -> str:
    """Return the base URL as Airflow's HttpHook builds it, without a trailing slash.

    Other than there, the port stands before a path in the host, and an address of IPv6 in brackets.
    """
    before, separator, behind = connection.host.partition("://")
    scheme, rest = (before, behind) if separator else (connection.schema or "http", connection.host)
    place, slash, path = rest.partition("/")
    login, at, name = place.rpartition("@")
    if name.count(":") > 1 and not name.startswith("["):
        name = f"[{name}]"
    port = f":{connection.port}" if connection.port else ""
    return f"{scheme}://{login}{at}{name}{port}{slash}{path}".rstrip("/")


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _from_json(conn_id: str, text: str) -> Connection:
    try:
        parts = json.loads(text)
        host, login, password, schema = (
            str(parts.get(name) or "") for name in ("host", "login", "password", "schema")
        )
        port = int(parts["port"]) if parts.get("port") else None
        kind, extra = _kind(parts["conn_type"]), _extra(parts.get("extra"))
        return Connection(conn_id, kind, host, login, password, schema, port, extra)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        # The value is not shown: it may hold a password.
        raise UsageError(
            f"{variable(conn_id)} is not a connection in JSON ({type(error).__name__}); expected "
            '{"conn_type": …, "host": …, "login": …, "password": …, "schema": …, "port": …, "extra": {…}}'
        ) from None


def _from_uri(conn_id: str, text: str) -> Connection:
    try:
        parts = urlsplit(text)
        port = parts.port
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        extra = _extra(query["__extra__"]) if "__extra__" in query else query
    except (ValueError, TypeError):
        raise UsageError(
            f"{variable(conn_id)} is not a connection URI; expected type://login:password@host:port/schema, "
            "and behind it ?name=value or ?__extra__= with a JSON object"
        ) from None
    # urlsplit lowers the case of a host name, but a host may be a file's path here.
    place = parts.netloc.rpartition("@")[2]
    host = place.rpartition(":")[0] if port is not None else place
    return Connection(
        conn_id,
        _kind(parts.scheme),
        host=unquote(host),
        login=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        schema=unquote(parts.path[1:]),
        port=port,
        extra=extra,
    )


def _extra(value: object) -> Mapping[str, object]:
    """Return the extra as an object, in which form ever it is written; raise TypeError where it is none."""
    extra = (json.loads(value) if isinstance(value, str) and value else value) or {}
    if not isinstance(extra, dict):
        raise TypeError
    return extra


def _kind(scheme: str) -> str:
    """Return the connection's type as Airflow calls it, where the scheme of a URI has another name."""
    return "postgres" if scheme == "postgresql" else scheme.replace("-", "_")


def _secret_values(value: object, is_secret: Callable[[str], bool], *, hidden: bool = False) -> list[str]:
    """Return the texts below `value` that stand under a secret's name, at any depth."""
    if isinstance(value, Mapping):
        return [
            text
            for name, inner in value.items()
            for text in _secret_values(inner, is_secret, hidden=hidden or is_secret(str(name)))
        ]
    if isinstance(value, list):
        return [text for inner in value for text in _secret_values(inner, is_secret, hidden=hidden)]
    if not hidden:
        # The address of a proxy, for one, holds a password under a name of no secret.
        return _password_in(value) if isinstance(value, str) and "://" in value else []
    if value in (None, "") or isinstance(value, bool):
        return []
    # The token of a header such as `Bearer abc` is a secret on its own, too.
    return [str(value), str(value).rpartition(" ")[2]]


def _looks_random(text: str, length: int = _SHORT) -> bool:
    """Say whether a text is more likely a key than a word, a number, or somebody's name or address."""
    has_both = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    return has_both and "@" not in text and len(text) >= length


def _password_in(host: str) -> list[str]:
    """Return the password that stands in a host such as `https://login:password@host`, with or without https.

    A login without a password is taken for a token.
    """
    before, scheme, behind = host.partition("://")
    login, _, password = (behind if scheme else before).rpartition("@")[0].partition(":")
    secret = "" if "/" in login else password or (login if scheme else "")
    return [secret, unquote(secret)]
