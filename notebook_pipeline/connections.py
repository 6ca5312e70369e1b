"""Connections by id, read from the environment as Airflow does, without ever showing a secret."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from notebook_pipeline import settings
from notebook_pipeline.errors import UsageError
from notebook_pipeline.secret_values import looks_random, password_in, secret_values

PREFIX = "AIRFLOW_CONN_"
DATABASE = "analytics_database"
API = "sportsworldcentral_url"
FILES = "repository_raw_url"


@dataclass(frozen=True)
class Connection:
    """A connection, with Airflow's field names; fields that may contain a secret are left out of its repr."""

    conn_id: str
    conn_type: str
    host: str = field(default="", repr=False)
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    schema: str = ""
    port: int | None = None
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)

    def secrets(self) -> list[str]:
        """Return every secret value of this connection, longest first."""
        # A file name may contain an @, but no password.
        host = [] if self.conn_type in ("sqlite", "fs") else password_in(self.host)
        # `auth` says how the password is sent, and holds no secret itself.
        extra = {name: value for name, value in self.extra.items() if name != "auth"}
        found = {self.password, *host, *secret_values(extra)}
        if not any(found) and self.conn_type in ("http", "https") and looks_random(self.login, 16):
            found.add(self.login)  # without a password or a header, the login is an API key
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


def variable(conn_id: str) -> str:
    """Return the name of the environment variable that defines the connection `conn_id`."""
    return PREFIX + conn_id.upper()


def resolve(conn_id: str) -> Connection:
    """Return the connection that its environment variable defines, else the default of a fresh checkout.

    Raises UsageError if the id is unknown or the variable cannot be parsed.
    """
    text = os.environ.get(variable(conn_id), "").strip()
    if not text:
        return default(conn_id)
    return _from_json(conn_id, text) if text.startswith("{") else _from_uri(conn_id, text)


def default(conn_id: str) -> Connection:
    """Return the default connection of a fresh checkout; raise UsageError if there is none of this id."""
    if conn_id == DATABASE:
        path = str(settings.database())
        if "?" in path:
            raise UsageError(
                f"{path}: the path of a SQLite database must not contain `?`; choose another output folder"
            )
        return Connection(conn_id, "sqlite", host=path)
    if conn_id == API:
        return Connection(conn_id, "http", host="127.0.0.1", port=8000, schema="http")
    if conn_id == FILES:
        return Connection(conn_id, "fs", extra={"path": str(settings.data())})
    raise UsageError(f"no connection {conn_id!r}: set {variable(conn_id)} to its JSON or URI form")


def sqlite_path(connection: Connection) -> Path:
    """Return the file that a sqlite connection names; a relative path starts at `settings.home()`."""
    name = connection.host or (f"/{connection.schema}" if connection.schema else "")
    if not name:
        raise UsageError(
            f"connection {connection.conn_id!r} names no file; set its host to the path of the SQLite file"
        )
    return settings.home() / settings.expanded(name.split("?")[0])


def postgres_uri(connection: Connection) -> str:
    """Return the libpq URI of a postgres connection; the fields of its extra are libpq parameters."""
    login, password, database = (
        quote(part, safe="") for part in (connection.login, connection.password, connection.schema)
    )
    who = f"{login}:{password}@" if password else f"{login}@" if login else ""
    # An IPv6 address needs brackets; the folder of a Unix socket is also a host.
    host = f"[{connection.host}]" if ":" in connection.host else quote(connection.host, safe=",")
    port = f":{connection.port}" if connection.port else ""
    options = {"connect_timeout": "15", "application_name": "notebook_pipeline", **connection.extra}
    return f"postgresql://{who}{host}{port}/{database}?{urlencode(options, quote_via=quote)}"


def base_url(connection: Connection) -> str:
    """Return the base URL as Airflow's HttpHook builds it, without a trailing slash.

    Unlike HttpHook, put the port before a path in the host, and an IPv6 address in brackets.
    """
    before, separator, behind = connection.host.partition("://")
    scheme, rest = (before, behind) if separator else (connection.schema or "http", connection.host)
    place, slash, path = rest.partition("/")
    login, at, name = place.rpartition("@")
    if name.count(":") > 1 and not name.startswith("["):
        name = f"[{name}]"
    port = f":{connection.port}" if connection.port else ""
    return f"{scheme}://{login}{at}{name}{port}{slash}{path}".rstrip("/")


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
        # The value is not shown: it may contain a password.
        raise UsageError(
            f"{variable(conn_id)} is not a valid connection in JSON ({type(error).__name__}); expected "
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
            "optionally followed by ?name=value or ?__extra__= with a JSON object"
        ) from None
    # urlsplit lowercases a host name, but here the host may be the path of a file.
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
    """Return the extra, given as a JSON text or an object; raise TypeError if it is not an object."""
    extra = (json.loads(value) if isinstance(value, str) and value else value) or {}
    if not isinstance(extra, dict):
        raise TypeError
    return extra


def _kind(scheme: str) -> str:
    """Return Airflow's name of the connection type for the scheme of a URI."""
    return "postgres" if scheme == "postgresql" else scheme.replace("-", "_")
