"""Speak SQL to the analytics database through ADBC; what its engines do differently, each says for itself.

SQL is written once, in the words that SQLite and PostgreSQL share: values are marked with `?`, tables are
declared with the types TEXT, INTEGER and REAL, and where there is no common word, the engine has a method.
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

Value = str | int | float | None


class Lock(Protocol):
    """Stand for a run while it is alive; the operating system or the server gives it up with the process."""

    def release(self) -> None:
        """Give the lock up; to do so twice does nothing."""


class Database(ABC):
    """Speak SQL to one open database; statements outside `transaction()` commit by themselves.

    `is_shared` says that others may write to a table while a transaction here is open. `row_number` declares
    the column `rowid`, which keeps rows in the order in which they came, where a table has none by itself.
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
        """Run one statement with bound values and return its rows, if it gives any."""
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
        """Begin, on SQLite with the write lock; commit at the end, or roll back what an exception left."""
        self.execute(self.begin)
        try:
            yield
            self._commit()
        except BaseException:
            # A full disk may have rolled back already; the first error is the one to show.
            with suppress(PipelineError):
                self.execute("ROLLBACK")
            raise

    @abstractmethod
    def define(self, sql: str) -> None:
        """Run a statement that makes a table or an index."""

    @abstractmethod
    def empty(self, table: str) -> None:
        """Remove all rows of a temporary table."""

    @abstractmethod
    def append(self, table: str, rows: pa.RecordBatch | pa.Table, marks: Mapping[str, str] = {}) -> bool:
        """Append rows by the names of their columns, each with these marks.

        Return False, nothing appended, where another writer was first to store the key of one.
        """

    def append_newer(
        self, table: str, key: str, cursor: str, rows: pa.RecordBatch, marks: Mapping[str, str]
    ) -> int:
        """Append rows, and let those with a greater cursor take the place of the row with their key.

        Return how many were written: none on an engine that judges rows before it locks any.
        """
        return 0

    @abstractmethod
    def upsert(self, sql: str, expected: int) -> bool:
        """Run a statement that writes so many rows.

        Return False, none written, where another writer has kept it from writing one of them.
        """

    @abstractmethod
    def lock(self, name: str, *, shared: bool = False) -> None:
        """Let the transaction wait until no other holds this lock, or none holds it unshared."""

    @abstractmethod
    def hold_run(self, run_id: str, file: Path) -> Lock:
        """Take a run's lock, in `file` where it is a file; raise PipelineError where it is held."""

    @abstractmethod
    def is_run_held(self, run_id: str, file: Path) -> bool:
        """Say whether some process holds a run's lock; where that cannot be seen, one does."""

    @abstractmethod
    def relations(self) -> set[str]:
        """Return the names of all tables, indexes and functions."""

    @abstractmethod
    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns in their order, none where there is no such table."""

    @abstractmethod
    def forbids_doubles(self, table: str, column: str) -> bool:
        """Say whether the primary key or a unique index on this column alone keeps its values apart."""

    @abstractmethod
    def json_key(self, column: str, field: str, kind: str) -> str:
        """Return the SQL that reads a field of a JSON object in a column, null where it cannot be read."""

    @abstractmethod
    def json_items(self, kind: str) -> str:
        """Return the query of the items of a JSON list that is bound in it."""

    @abstractmethod
    def misses_glob(self, column: str, glob: str) -> tuple[str, str]:
        """Return the condition that a text is not like a glob, and the value to bind in it."""

    @abstractmethod
    def _spelled(self, sql: str) -> str:
        """Return the SQL as the engine's driver wants it."""

    @abstractmethod
    def _commit(self) -> None:
        """Commit the transaction, or raise PipelineError."""

    @abstractmethod
    def _statement(self) -> AbstractContextManager[Cursor]:
        """Return a cursor of the engine's driver."""

    @abstractmethod
    def _problem(self, error: Error) -> PipelineError:
        """Return what the driver said, without the statement, and what to do about it."""

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        """Give a cursor for one statement: one that failed keeps the values it was given for the next."""
        try:
            with self._statement() as cursor:
                yield cursor
        except Error as error:
            raise self._problem(error) from error


def quoted(identifier: str) -> str:
    """Return the identifier as SQL writes it."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL writes it, for a constant that would have to be bound again for every row."""
    if "\0" in text:
        raise ValueError(f"{text!r} cannot stand in a statement")
    return "'" + text.replace("'", "''") + "'"
