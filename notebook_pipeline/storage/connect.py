"""Opening an analytics database with the engine that its connection names."""

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.postgres import PostgresDatabase
from notebook_pipeline.storage.sqlite import SqliteDatabase


def connect(connection: Connection, *, read_only: bool = False) -> Database:
    """Open the database that a connection names; create a missing SQLite file, readable only by its owner.

    Raises UsageError for an unknown type of database, PipelineError if it cannot be opened.
    """
    if connection.conn_type == "sqlite":
        return SqliteDatabase(connection, read_only=read_only)
    if connection.conn_type == "postgres":
        return PostgresDatabase(connection, read_only=read_only)
    raise UsageError(
        f"connection {connection.conn_id!r} is of type {connection.conn_type!r}; expected sqlite or postgres"
    )
