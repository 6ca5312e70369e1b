"""How a session with PostgreSQL is opened, and the settings that it has."""

import adbc_driver_postgresql.dbapi as postgres
from adbc_driver_manager import Error
from adbc_driver_manager.dbapi import Connection as Session

from notebook_pipeline.connections import Connection, postgres_uri
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage.database import literal
from notebook_pipeline.storage.postgres_errors import message, without_secrets

# How long one writer waits for another's whole transaction.
LOCK_TIMEOUT_MS = 15 * 60 * 1000
# A run is alive as long as its session: the server must notice soon if the client's machine has failed.
_SETTINGS = {
    "client_encoding": "UTF8",
    # Keys that are moments are recorded as text, which must not depend on the settings of a login.
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
    # Statements are many and small: compiling them takes longer than running them.
    "jit": "off",
}


def address(connection: Connection) -> str:
    """Return the address of a database, without a login or a password."""
    place = f"{connection.host or 'localhost'}:{connection.port or 5432}/{connection.schema}"
    return f"postgresql://{place}"


def opened(connection: Connection) -> Session:
    """Open a session in which statements are committed at once, or raise PipelineError."""
    try:
        return postgres.connect(postgres_uri(connection), autocommit=True)
    except Error as error:
        found = without_secrets(connection, message(error))
        raise PipelineError(
            f"{address(connection)}: cannot be opened as a database: {found}; check the connection "
            f"{connection.conn_id!r}, and that the server is running"
        ) from None


def settings(*, read_only: bool) -> str:
    """Return the statement that gives a session its settings."""
    chosen = _SETTINGS | {"lock_timeout": str(LOCK_TIMEOUT_MS)}
    chosen["default_transaction_read_only"] = "on" if read_only else "off"
    calls = ", ".join(f"set_config({literal(key)}, {literal(value)}, false)" for key, value in chosen.items())
    return f"SELECT {calls}"
