"""SQL on the analytics database through ADBC; a subclass per engine implements the differences.

SQL is written once, in the dialect that SQLite and PostgreSQL share: parameters are `?`, and what they do not
share is a method of the engine.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol

import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_manager.dbapi import Cursor

from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage.stored_table import Tables

Value = str | int | float | None


class Lock(Protocol):
    """The lock of a running run; the operating system or the server releases it when the process ends."""

    def release(self) -> None:
        """Release the lock; releasing it twice does nothing."""


class Database(ABC):
    """An open database; statements outside `transaction()` are committed at once.

    `is_shared` is True if others may write to a table while a transaction is open here. `row_number` declares
    the column `rowid`, which numbers rows in insertion order, if the engine's tables do not have it anyway.
    """

    is_shared: bool
    begin: str
    row_number: str
    functions: ClassVar[Mapping[str, str]]

    def __init__(self, dbapi: Any, name: str) -> None:
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
        """Run one statement with bound values and return its rows, if it returns any."""
        with self._cursor() as cursor:
            cursor.execute(self._spelled(sql), tuple(values) or None)
            return cursor.fetchall() if cursor.description else []

    def query(self, sql: str, values: Sequence[Value] = ()) -> pa.Table:
        """Run one query with bound values and return its rows as an Arrow table."""
        with self._cursor() as cursor:
            cursor.execute(self._spelled(sql), tuple(values) or None)
            return cursor.fetch_arrow_table()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin a transaction, on SQLite with the write lock; commit it, or roll it back on an exception."""
        self.execute(self.begin)
        try:
            yield
            self._commit()
        except BaseException:
            # After an error such as a full disk there may be nothing to roll back; show the first error.
            with suppress(PipelineError):
                self.execute("ROLLBACK")
            raise

    @abstractmethod
    def sql_type(self, kind: pa.DataType) -> str:
        """Return the SQL type in which a column of a declared type is stored."""

    def encoded(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows of neutral types, as the contract gives them, as the engine stores them."""
        return rows

    def staged_type(self, kind: pa.DataType) -> str:
        """Return the SQL type in which a temporary table takes encoded columns of a declared type."""
        return self.sql_type(kind)

    def from_staged(self, sql: str, kind: pa.DataType) -> str:
        """Return the SQL of a staged value as a value of the dataset's table."""
        return sql

    @abstractmethod
    def bound(self, value: object) -> tuple[str, Value]:
        """Return how a Python value is compared with stored ones: the SQL of its parameter, and what to bind.

        A datetime, a date, a time or a Decimal is compared in its stored form.
        """

    @abstractmethod
    def empty(self, table: str) -> None:
        """Remove all rows of a temporary table."""

    @abstractmethod
    def append(self, table: str, rows: pa.RecordBatch | pa.Table, marks: Mapping[str, str] = {}) -> bool:
        """Append rows by the names of their columns; `marks` are further columns with one value each.

        Return False, with nothing appended, if another writer has stored one of the keys first.
        """

    def append_newer(
        self, table: str, keys: Sequence[str], cursor: str, rows: pa.RecordBatch, marks: Mapping[str, str]
    ) -> int:
        """Append rows; a row with a greater cursor replaces the stored one of its key.

        Return the number of rows written: 0 on an engine that must compare rows before it locks them.
        """
        return 0

    @abstractmethod
    def upsert(self, sql: str, expected: int) -> bool:
        """Run a statement that is expected to write this number of rows.

        Return False, with nothing written, if another writer has prevented one of them.
        """

    @abstractmethod
    def lock(self, name: str, *, shared: bool = False) -> None:
        """Take a lock until the transaction ends, waiting for others that hold it; shared ones coexist."""

    @abstractmethod
    def hold_run(self, run_id: str, file: Path) -> Lock:
        """Take a run's lock, which is `file` if the engine locks files; raise PipelineError if it is held."""

    @abstractmethod
    def is_run_held(self, run_id: str, file: Path) -> bool:
        """Return True if a process holds a run's lock, or if that cannot be determined."""

    @abstractmethod
    def relations(self) -> set[str]:
        """Return the names of all tables, indexes and functions."""

    @abstractmethod
    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns in order, or [] if there is no such table."""

    @property
    @abstractmethod
    def tables(self) -> Tables:
        """Return what the engine reports of tables, and how it changes them."""

    @abstractmethod
    def forbids_doubles(self, table: str, column: str) -> bool:
        """Return True if this column alone is the primary key or has a unique index."""

    @abstractmethod
    def json_key(self, column: str, field: str, kind: pa.DataType) -> str:
        """Return the SQL that reads a field of a JSON object in a column; it is null if it cannot be read."""

    @abstractmethod
    def json_list(self, values: Sequence[str], kinds: Sequence[pa.DataType]) -> str:
        """Return the SQL of a compact JSON list of values that are not null, whose types are `kinds`."""

    @abstractmethod
    def json_items(self) -> str:
        """Return the query that yields the items of a JSON list, its one parameter, as text named `value`."""

    @abstractmethod
    def moment(self, text: str) -> str:
        """Return the SQL of a stored moment, given the SQL of its text (UTC)."""

    @abstractmethod
    def moment_text(self, stored: str) -> str:
        """Return the SQL of the text (UTC) of a stored moment."""

    @abstractmethod
    def misses_glob(self, column: str, glob: str) -> tuple[str, str]:
        """Return the condition that a column does not match a glob, and the value to bind in it."""

    def _check_written(self, written: int, expected: int) -> None:
        """Raise PipelineError, before a commit, if a statement has written another number of rows."""
        if written != expected:
            raise PipelineError(
                f"{self.name}: {expected:,} rows were to be written, but the database has written "
                f"{written:,}; nothing was committed. A trigger of the table drops or adds rows: remove it, "
                "and run again"
            )

    @abstractmethod
    def _spelled(self, sql: str) -> str:
        """Return the SQL in the form that the engine's driver takes."""

    @abstractmethod
    def _commit(self) -> None:
        """Commit the transaction, or raise PipelineError."""

    @abstractmethod
    def _statement(self) -> AbstractContextManager[Cursor]:
        """Return a cursor of the engine's driver."""

    @abstractmethod
    def _problem(self, error: Error) -> PipelineError:
        """Return an error with the driver's message, without the statement, and what to do about it."""

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        """Yield a cursor for one statement: after an error, a cursor keeps its values for the next one."""
        try:
            with self._statement() as cursor:
                yield cursor
        except Error as error:
            raise self._problem(error) from error


def quoted(identifier: str) -> str:
    """Return an identifier quoted for SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as a SQL literal, for a constant that would otherwise be bound again for every row."""
    if "\0" in text:
        raise ValueError(f"{text!r} contains U+0000, which a SQL statement cannot contain")
    return "'" + text.replace("'", "''") + "'"
