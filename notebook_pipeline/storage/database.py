"""Open the analytics database through ADBC, the one SQLite library of a process that writes to it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import adbc_driver_sqlite.dbapi as sqlite
import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_manager.dbapi import Cursor

from notebook_pipeline.connections import Connection, sqlite_path
from notebook_pipeline.errors import PipelineError, UsageError

# Writers queue behind each other; this is how long one waits for the other's whole transaction.
BUSY_TIMEOUT_MS = 15 * 60 * 1000
# So long may the log get before a commit copies it into the database (64 MB): scattered pages of a large
# table cost much more to copy than those of a small one, and the last to close the database does it anyway.
LOG_PAGES = 16_384
# Pages that an update reads to judge its rows are still there when it writes them.
CACHE_KIB = 32 * 1024
# A column gets its type from the first batch of a result: one batch a result, or a column that begins
# with 1,024 nulls is taken for numbers and the first text in it is an error.
ONE_BATCH = {"adbc.sqlite.query.batch_rows": str(2**30)}

Value = str | int | float | None


class Database:
    """Speak SQL to one open database; statements outside `transaction()` commit by themselves."""

    def __init__(self, dbapi: sqlite.AdbcSqliteConnection, name: str) -> None:
        self._dbapi = dbapi
        self.name = name

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; closing twice does nothing."""
        self._dbapi.close()

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple]:
        """Run one statement with bound values and return its rows, if it gives any."""
        with self._cursor() as cursor:
            cursor.execute(sql, tuple(values) or None)
            return cursor.fetchall() if cursor.description else []

    def query(self, sql: str, values: Sequence[Value] = ()) -> pa.Table:
        """Run one query with bound values and return its rows as an Arrow table."""
        with self._cursor() as cursor:
            cursor.execute(sql, tuple(values) or None)
            return cursor.fetch_arrow_table()

    def write(self, sql: str, rows: pa.RecordBatch | pa.Table) -> None:
        """Run one statement for every row, its columns bound in order."""
        if rows.num_rows:
            with self._cursor() as cursor:
                cursor.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the write lock from here on; commit at the end, or roll back what an exception left."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            # A full disk may have rolled back already; the first error is the one to show.
            with suppress(PipelineError):
                self.execute("ROLLBACK")
            raise

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        """Give a cursor for one statement: one that failed keeps the values it was given for the next."""
        try:
            with self._dbapi.cursor(adbc_stmt_kwargs=ONE_BATCH) as cursor:
                yield cursor
        except Error as error:
            raise PipelineError(f"{self.name}: {_reason(str(error))}") from error


def connect(connection: Connection, *, read_only: bool = False) -> Database:
    """Open the database that the connection names; a missing SQLite file is made, for its owner alone.

    Raises UsageError for an unknown kind of database, PipelineError where the file cannot be opened.
    """
    if connection.conn_type != "sqlite":
        raise UsageError(
            f"connection {connection.conn_id!r} is of type {connection.conn_type!r}; expected sqlite"
        )
    path = sqlite_path(connection)
    try:
        if not read_only:
            _make_private(path)
        dbapi = sqlite.connect(
            f"file:{quote(str(path))}?mode={'ro' if read_only else 'rwc'}", autocommit=True
        )
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be opened as a database: {error.strerror}; make the file and its folder writable"
        ) from error
    except Error as error:
        raise PipelineError(f"{path}: cannot be opened as a database: {_reason(str(error))}") from error
    database = Database(dbapi, str(path))
    try:
        database.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if not read_only:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
            database.execute(f"PRAGMA cache_size = {-CACHE_KIB}")
            database.execute("PRAGMA temp_store = MEMORY")
    except PipelineError:
        database.close()
        raise
    return database


def quoted(identifier: str) -> str:
    """Return the identifier as SQL writes it."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL writes it, for a constant that would have to be bound again for every row."""
    if "\0" in text:
        raise ValueError(f"{text!r} cannot stand in a statement")
    return "'" + text.replace("'", "''") + "'"


def _make_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _reason(message: str) -> str:
    """Return what the driver said, without the statement, and what to do about it."""
    remedies = {
        "disk is full": "free space on this disk and run again; nothing was changed",
        "disk I/O error": "see that this disk has space and allows files of this size, and run again; "
        "nothing was changed",
        "readonly": "make the file and its folder writable and run again; nothing was changed",
        "unable to open database file": "make the file and its folder writable",
        "database is locked": "another writer held it too long; see which run is `running` and run again",
        "not a database": "this file is not a SQLite database; check the connection",
        "malformed": "the file is damaged; restore it from a backup",
    }
    said = message.split("\nquery:")[0]
    remedy = next((remedy for sign, remedy in remedies.items() if sign in said), "")
    return f"{said} ({remedy})" if remedy else said
