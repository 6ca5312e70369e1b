"""Open an analytics database: know its engines, which `Database` itself does not."""

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage.database import Database


def connect(connection: Connection, *, read_only: bool = False) -> Database:
    """Open the database that the connection names; a missing SQLite file is made, for its owner alone.

    Raises UsageError for an unknown kind of database, PipelineError where it cannot be opened.
    """
    # Each run loads the driver of its own database alone.
    if connection.conn_type == "sqlite":
        from notebook_pipeline.storage.sqlite import SqliteDatabase

        return SqliteDatabase(connection, read_only=read_only)
    if connection.conn_type == "postgres":
        from notebook_pipeline.storage.postgres import PostgresDatabase

        return PostgresDatabase(connection, read_only=read_only)
    raise UsageError(
        f"connection {connection.conn_id!r} is of type {connection.conn_type!r}; expected sqlite or postgres"
    )
