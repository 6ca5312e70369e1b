"""The extra of an `http` connection: settings, which are never sent, and headers."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from notebook_pipeline.connections import Connection, base_url
from notebook_pipeline.errors import UsageError

# The settings that Airflow's HttpHook reads from the extra, and those that only this package reads.
_OF_HTTP_HOOK = (
    "verify",
    "verify_ssl",
    "cert",
    "proxies",
    "proxy",
    "trust_env",
    "stream",
    "timeout",
    "allow_redirects",
    "max_redirects",
    "check_response",
    "srv_lookup",
)
_OURS = ("headers", "auth", "storage_options", "max_bytes", "max_seconds", "allow")
SETTINGS = frozenset({*_OF_HTTP_HOOK, *_OURS})

# Where requests and curl look for the certificates of additional authorities.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def headers(connection: Connection) -> Mapping[str, str]:
    """Return the headers to send: those in `headers`, and everything in the extra that is not a setting."""
    extra = connection.extra
    given = extra.get("headers") or {}
    if not isinstance(given, Mapping):
        raise _wrong(connection, "headers", "an object of names and values")
    others = {name: value for name, value in extra.items() if name not in SETTINGS}
    found = {name: str(value) for name, value in {**others, **given}.items()}
    for name, value in found.items():
        if not (name.isascii() and name.isprintable() and value.isascii() and value.isprintable()):
            raise UsageError(
                f"connection {connection.conn_id!r}: the header {name!r} in its extra is not valid in "
                "HTTP; use printable ASCII without line breaks"
            )
    return found


def verify(connection: Connection) -> bool | str:
    """Return whether to verify servers' certificates, or the file or folder of authorities to trust.

    The connection's setting takes precedence over the environment variables.
    """
    name = "verify" if "verify" in connection.extra else "verify_ssl"
    given = _switch(connection.extra.get(name))
    if given is False:
        return False
    path = given if isinstance(given, str) else _authorities_of_environment(connection)
    if not path:
        return True
    # Without HTTPS, a missing file in an environment variable does not matter.
    if not isinstance(given, str) and not base_url(connection).startswith("https:"):
        return path
    expected = f"true, false or a file of certificates as `verify` in its extra, or in {_CA_VARIABLES[0]}"
    return _existing(path, connection, expected)


def certificate(connection: Connection) -> str | tuple[str, str] | None:
    """Return the client's certificate: one file with its key, or two files, certificate and key."""
    given = connection.extra.get("cert")
    if not given:
        return None
    expected = "a file with certificate and key as `cert` in its extra, or a list of one file for each"
    if isinstance(given, list | tuple) and len(given) == 2:
        file, key = (_existing(str(path), connection, expected) for path in given)
        return file, key
    return _existing(str(given), connection, expected)


def proxies(connection: Connection) -> Mapping[str, str] | None:
    """Return the proxies by scheme; one address is for all. None leaves them to the environment."""
    name = "proxies" if "proxies" in connection.extra else "proxy"
    given = connection.extra.get(name)
    if given is None:
        return None
    if isinstance(given, str):
        return {"all": given} if given else {}
    if not isinstance(given, Mapping):
        raise _wrong(connection, name, 'an object such as {"https": "http://proxy:3128"}, or one address')
    # A scheme without a proxy (null) connects directly.
    return {str(scheme): str(address) for scheme, address in given.items() if address}


def flag(connection: Connection, name: str) -> bool:
    """Return a boolean setting, True if it is not given."""
    given = _switch(connection.extra.get(name))
    if given is None:
        return True
    if isinstance(given, bool):
        return given
    raise _wrong(connection, name, "true or false")


def number(connection: Connection, name: str, default: float) -> float:
    """Return a setting that is a number above 0, or the default."""
    given = connection.extra.get(name)
    if given is None or given == "":
        return default
    try:
        found = float(cast("str", given))
    except (TypeError, ValueError):
        found = 0
    if isinstance(given, bool) or not 0 < found < math.inf:
        raise _wrong(connection, name, "a number above 0")
    return found


def _existing(path: str, connection: Connection, expected: str) -> str:
    if Path(path).exists():
        return path
    raise UsageError(
        f"connection {connection.conn_id!r}: found no file {path!r} with certificates; expected {expected}"
    )


def _authorities_of_environment(connection: Connection) -> str:
    if not flag(connection, "trust_env"):
        return ""
    return next((path for name in _CA_VARIABLES if (path := os.environ.get(name))), "")


def _switch(given: object) -> object:
    """Return true and false as booleans even if they are text, as in a connection's URI."""
    if isinstance(given, str):
        return {"true": True, "false": False, "": None}.get(given.strip().lower(), given)
    return given


def _wrong(connection: Connection, name: str, expected: str) -> UsageError:
    # The value is not shown: the address of a proxy may hold a password.
    return UsageError(f"connection {connection.conn_id!r}: `{name}` in its extra must be {expected}")
