"""The errors of PostgreSQL in words: the message of the server or the driver, and what to do about it."""

from adbc_driver_manager import Error

from notebook_pipeline.connections import Connection

# Shorter secrets occur in ordinary words.
SHORTEST = 6
_REMEDIES = {
    "23505": "another writer stored it at the same time; run again",
    "25006": "this connection is read-only",
    "28": "check the login and password of the connection",
    "3D000": "create the database, or correct the connection's schema, which names it",
    "40P01": "another load wrote the same rows in another order; nothing was changed, run again",
    "40001": "another writer changed the same rows; nothing was changed, run again",
    "42501": "grant this privilege to the login of the connection",
    "53": "check that the server has free disk space and connections, and run again; nothing was changed",
    "55P03": "another writer held the lock too long; check which run is `running`, then run again",
    "57": "the server closed this connection; uncommitted changes were rolled back, run again",
}


def explained(error: Error) -> str:
    """Return an error's message, and what to do about it where that is known."""
    state = error.sqlstate or ""
    remedy = next((remedy for sign, remedy in _REMEDIES.items() if state.startswith(sign)), "")
    return f"{message(error)}{f' ({remedy})' if remedy else ''}"


def message(error: Error) -> str:
    """Return the message of the server or the driver, without the statement."""
    said = {_text(key): _text(value) for key, value in error.details}
    first = said.get("PG_DIAG_MESSAGE_PRIMARY") or str(error).split("\nQuery was:")[0]
    lines = [first.removeprefix("IO: [libpq] "), said.get("PG_DIAG_MESSAGE_DETAIL", "")]
    return ": ".join(" ".join(line.split()) for line in lines if line)


def _text(part: str | bytes) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def without_secrets(connection: Connection, said: str) -> str:
    """Return a message without the connection's secrets, which it is not expected to contain anyway."""
    names = [connection.conn_id, connection.host, connection.login, connection.schema]
    for secret in connection.secrets():
        # A password that is a part of these names cannot be told from them.
        if len(secret) >= SHORTEST and not any(secret in name for name in names):
            said = said.replace(secret, "…")
    return said
