"""The analytics database in a SQLite file, through ADBC; a process that writes uses no other library."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from errno import EACCES, EISDIR
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import adbc_driver_sqlite.dbapi as sqlite
import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_manager.dbapi import Cursor

from notebook_pipeline.connections import Connection, sqlite_path
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage import stored_types
from notebook_pipeline.storage.database import Database, Lock, Value, literal, quoted
from notebook_pipeline.storage.run_locks import RunLock, is_held
from notebook_pipeline.storage.sqlite_errors import LOCKED, explained
from notebook_pipeline.storage.sqlite_tables import SqliteTables

# How long one writer waits for another's whole transaction.
BUSY_TIMEOUT_MS = 15 * 60 * 1000
# The length of the log (64 MB) at which a commit copies it into the database: scattered pages of a large
# table take much longer to copy than those of a small one, and the last connection does it anyway.
LOG_PAGES = 8_192
# The page size of a new database, twice SQLite's default: a first load takes an eighth less time, an update
# of scattered rows the same. With 16 KiB, updates of a large table take twice as long as of a small one.
PAGE_BYTES = 8_192
# Large enough to still have the pages that an update reads to compare its rows when it writes them.
CACHE_KIB = 16 * 1024
# A column's type is that of the first batch of a result. With more than one batch, a column that begins
# with 1,024 nulls would be read as numbers, and the first text in it would be an error.
ONE_BATCH = {"adbc.sqlite.query.batch_rows": str(2**30)}


class SqliteDatabase(Database):
    """A database in a SQLite file, which one transaction at a time writes to while others wait."""

    is_shared = False
    begin = "BEGIN IMMEDIATE"
    row_number = ""
    functions: ClassVar = {}

    def __init__(self, connection: Connection, *, read_only: bool = False) -> None:
        path = sqlite_path(connection)
        super().__init__(_open(path, read_only=read_only), str(path))
        try:
            self.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            if not read_only:
                self.execute(f"PRAGMA page_size = {PAGE_BYTES}")
                self._keep_log()
                self.execute("PRAGMA synchronous = NORMAL")
                self.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
                self.execute(f"PRAGMA cache_size = {-CACHE_KIB}")
                self.execute("PRAGMA temp_store = MEMORY")
        except PipelineError:
            self.close()
            raise

    def sql_type(self, kind: pa.DataType) -> str:
        """Return the SQL type in which a column of a declared type is stored."""
        return stored_types.sqlite_type(kind)

    def encoded(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows of neutral types as SQLite stores them."""
        return stored_types.sqlite_columns(rows)

    def bound(self, value: object) -> tuple[str, Value]:
        """Return how a Python value is compared with stored ones: a parameter, and what to bind in it."""
        return "?", stored_types.sqlite_value(value)

    def empty(self, table: str) -> None:
        """Remove all rows of a temporary table."""
        self.execute(f"DELETE FROM {quoted(table)}")

    def append(self, table: str, rows: pa.RecordBatch | pa.Table, marks: Mapping[str, str] = {}) -> bool:
        """Append rows and return True: no other writer can have stored a key meanwhile."""
        before = self._changes()
        self._insert(table, rows, marks)
        self._check_written(self._changes() - before, rows.num_rows)
        return True

    def append_newer(
        self, table: str, keys: Sequence[str], cursor: str, rows: pa.RecordBatch, marks: Mapping[str, str]
    ) -> int:
        """Append rows; a row with a greater cursor replaces the stored one. Return the number written."""
        names = [quoted(name) for name in (*rows.schema.names, *marks) if name not in keys]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names)
        newer = f"excluded.{quoted(cursor)} > {quoted(table)}.{quoted(cursor)}"
        before = self._changes()
        key = ", ".join(map(quoted, keys))
        self._insert(table, rows, marks, f"ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE {newer}")
        return self._changes() - before

    def upsert(self, sql: str, expected: int) -> bool:
        """Run a statement and return True: no other writer can have changed a row meanwhile."""
        self.execute(sql)
        self._check_written(self.execute("SELECT changes()")[0][0], expected)
        return True

    def lock(self, name: str, *, shared: bool = False) -> None:
        """Do nothing: a transaction holds the write lock of the whole file."""

    def hold_run(self, run_id: str, file: Path) -> Lock:
        """Take a run's lock; raise PipelineError if it is held."""
        return RunLock(file)

    def is_run_held(self, run_id: str, file: Path) -> bool:
        """Return True if a process holds a run's lock, or if that cannot be determined."""
        return is_held(file)

    def relations(self) -> set[str]:
        """Return the names of all tables and indexes."""
        return {name for (name,) in self.execute("SELECT name FROM sqlite_master")}

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns in order, or [] if there is no such table."""
        return [
            name for (name,) in self.execute("SELECT name FROM pragma_table_info(?) ORDER BY cid", [table])
        ]

    @property
    def tables(self) -> SqliteTables:
        """Return what SQLite reports of tables, and how it changes them."""
        return SqliteTables(self)

    def forbids_doubles(self, table: str, column: str) -> bool:
        """Return True if this column alone is the primary key or has a unique index."""
        [[is_key]] = self.execute(
            "SELECT count(*) = 1 AND max(name) = ? FROM pragma_table_info(?) WHERE pk > 0", [column, table]
        )
        [[indexed]] = self.execute(
            """SELECT count(*) FROM pragma_index_list(?) l WHERE l."unique" AND NOT l.partial
            AND (SELECT count(*) = 1 AND max(i.name) = ? FROM pragma_index_info(l.name) i)""",
            [table, column],
        )
        return bool(is_key or indexed)

    def json_key(self, column: str, field: str, kind: pa.DataType) -> str:
        """Return the SQL that reads a field of a JSON object in a column; it is null if it cannot be read."""
        path = '$."' + field.replace('"', '\\"') + '"'
        name = quoted(column)
        value = f"CAST(json_extract({name}, {literal(path)}) AS {self.sql_type(kind)})"
        return f"CASE WHEN json_valid({name}) THEN {value} END"

    def json_list(self, values: Sequence[str], kinds: Sequence[pa.DataType]) -> str:
        """Return the SQL of a compact JSON list of values that are not null, whose types are `kinds`."""
        return f"json_array({', '.join(values)})"

    def json_items(self) -> str:
        """Return the query that yields the items of a JSON list, its one parameter, as text named `value`."""
        return "SELECT CAST(value AS TEXT) AS value FROM json_each(?)"

    def moment(self, text: str) -> str:
        """Return the SQL of a stored moment, given the SQL of its text (UTC)."""
        return text

    def moment_text(self, stored: str) -> str:
        """Return the SQL of the text (UTC) of a stored moment."""
        return stored

    def misses_glob(self, column: str, glob: str) -> tuple[str, str]:
        """Return the condition that a column does not match a glob, and the value to bind in it."""
        return f"{column} NOT GLOB ?", glob

    def _keep_log(self) -> None:
        """Switch to a write-ahead log, retrying while the database is locked: SQLite does not wait here."""
        deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
        while True:
            try:
                self.execute("PRAGMA journal_mode = WAL")
            except PipelineError as error:
                if LOCKED not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _insert(
        self, table: str, rows: pa.RecordBatch | pa.Table, marks: Mapping[str, str], conflict: str = ""
    ) -> None:
        columns = ", ".join(quoted(name) for name in (*rows.schema.names, *marks))
        values = ", ".join(["?"] * rows.num_columns + [literal(mark) for mark in marks.values()])
        if rows.num_rows:
            with self._cursor() as cursor:
                cursor.executemany(
                    f"INSERT INTO {quoted(table)} ({columns}) VALUES ({values}) {conflict}", rows
                )

    def _changes(self) -> int:
        return self.execute("SELECT total_changes()")[0][0]

    def _spelled(self, sql: str) -> str:
        return sql

    def _commit(self) -> None:
        self.execute("COMMIT")

    def _statement(self) -> AbstractContextManager[Cursor]:
        return self._dbapi.cursor(adbc_stmt_kwargs=ONE_BATCH)

    def _problem(self, error: Error) -> PipelineError:
        return PipelineError(f"{self.name}: {explained(error)}")


def _open(path: Path, *, read_only: bool) -> sqlite.AdbcSqliteConnection:
    try:
        if not read_only:
            _make_private(path)
        elif not path.exists():
            raise PipelineError(f"{path}: no database yet; load something first, or check the connection")
        _check_access(path, os.R_OK if read_only else os.R_OK | os.W_OK)
        mode = "ro" if read_only else "rwc"
        return sqlite.connect(f"file:{quote(str(path))}?mode={mode}", autocommit=True)
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be opened as a database: {error.strerror}; make the file and its folder writable"
        ) from error
    except Error as error:
        raise PipelineError(f"{path}: cannot be opened as a database: {explained(error)}") from error


def _make_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # An existing file is not opened: closing it would release the locks of other connections of this process,
    # and another process could then remove the log that they use. https://sqlite.org/howtocorrupt.html
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _check_access(path: Path, wanted: int) -> None:
    """Raise OSError if the file cannot be accessed: SQLite would only report a failure to allocate memory."""
    if path.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    if not os.access(path, wanted):
        raise PermissionError(EACCES, os.strerror(EACCES))
