"""The analytics database in PostgreSQL: rows are written by COPY, and several machines may write at once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_manager.dbapi import Cursor

from notebook_pipeline.connections import Connection
from notebook_pipeline.declare.column_types import is_json
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage import dialect, stored_types
from notebook_pipeline.storage.database import Database, Lock, Value, literal, quoted
from notebook_pipeline.storage.postgres_errors import explained
from notebook_pipeline.storage.postgres_locks import HELD, SessionLock, lock_number
from notebook_pipeline.storage.postgres_session import address, opened, settings
from notebook_pipeline.storage.postgres_tables import PostgresTables, has_json

_UNIQUE_VIOLATION = "23505"


class PostgresDatabase(Database):
    """A PostgreSQL database, in which bulk loads of one dataset can run side by side."""

    is_shared = True
    begin = "BEGIN"
    row_number = "rowid BIGINT GENERATED ALWAYS AS IDENTITY"
    functions: ClassVar = {
        "_json_field": dialect.JSON_FIELD,
        "_whole_number": dialect.WHOLE_NUMBER,
        "_json_string": dialect.JSON_STRING,
    }

    def __init__(self, connection: Connection, *, read_only: bool = False) -> None:
        self._held: set[int] = set()
        super().__init__(opened(connection), address(connection))
        try:
            self.execute(settings(read_only=read_only))
        except PipelineError:
            self.close()
            raise

    def sql_type(self, kind: pa.DataType) -> str:
        """Return the SQL type in which a column of a declared type is stored."""
        return stored_types.postgres_type(kind)

    def staged_type(self, kind: pa.DataType) -> str:
        """Return the SQL type in which a temporary table takes encoded columns; COPY takes no jsonb."""
        return 'TEXT COLLATE "C"' if is_json(kind) else self.sql_type(kind)

    def from_staged(self, sql: str, kind: pa.DataType) -> str:
        """Return the SQL of a staged value as a value of the dataset's table."""
        return f"CAST({sql} AS JSONB)" if is_json(kind) else sql

    def bound(self, value: object) -> tuple[str, Value]:
        """Return how a Python value is compared with stored ones: the SQL, and what to bind in it."""
        return stored_types.postgres_value(value)

    def empty(self, table: str) -> None:
        """Truncate a temporary table; every later statement would read rows that were only deleted."""
        self.execute(f"TRUNCATE {quoted(table)}")

    def append(self, table: str, rows: pa.RecordBatch | pa.Table, marks: Mapping[str, str] = {}) -> bool:
        """Append rows by COPY; return False, with none appended, if the key of one is stored already.

        Return False for a table with a column of JSON, too: COPY takes it only by way of a staged column.
        """
        if has_json(self, table):
            return False
        columns = {name: dialect.stored(rows.column(name)) for name in rows.schema.names}
        columns |= {name: pa.repeat(pa.scalar(mark), rows.num_rows) for name, mark in marks.items()}
        # The driver looks for a table in one schema only; temporary tables have their own.
        is_temporary = table.startswith("_")
        before = None if is_temporary else self._inserted(table)
        try:
            with self._undone_if_it_fails(), self._cursor() as cursor:
                if rows.num_rows:
                    cursor.adbc_ingest(
                        table, dialect.in_pieces(columns), mode="append", temporary=is_temporary
                    )
        except PipelineError as error:
            if getattr(error.__cause__, "sqlstate", None) == _UNIQUE_VIOLATION:
                return False
            raise
        if before is not None:
            self._check_written((self._inserted(table) or 0) - before, rows.num_rows)
        return True

    def upsert(self, sql: str, expected: int) -> bool:
        """Run a statement; return False, with nothing written, if it does not write this number of rows."""
        try:
            with self._undone_if_it_fails(), self._cursor() as cursor:
                cursor.execute(sql)
                if cursor.rowcount != expected:
                    raise _OvertakenError
        except _OvertakenError:
            return False
        return True

    def lock(self, name: str, *, shared: bool = False) -> None:
        """Take a lock until the transaction ends, waiting for others that hold it; shared ones coexist."""
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        self.execute(f"SELECT CAST({function}(?) AS TEXT)", [lock_number("lock", name)])

    def hold_run(self, run_id: str, file: Path) -> Lock:
        """Take a run's lock until this session ends; raise PipelineError if it is held."""
        number = lock_number("run", run_id)
        # The server would let one session take a lock twice.
        if number in self._held or not self.execute("SELECT pg_try_advisory_lock(?)", [number])[0][0]:
            raise PipelineError(f"{self.name}: another process is working on run {run_id}")
        self._held.add(number)
        return SessionLock(partial(self.release, number))

    def release(self, number: int) -> None:
        """Release a lock that this session took."""
        if number in self._held:
            self._held.remove(number)
            # If the session has ended, the lock is released already.
            with suppress(PipelineError):
                self.execute("SELECT pg_advisory_unlock(?)", [number])

    def is_run_held(self, run_id: str, file: Path) -> bool:
        """Return True if a session holds a run's lock."""
        number = lock_number("run", run_id)
        return bool(self.execute(HELD, [number])[0][0])

    def relations(self) -> set[str]:
        """Return the names of all tables, indexes and functions."""
        rows = self.execute(
            """SELECT CAST(relname AS TEXT) FROM pg_class
            WHERE relnamespace = to_regnamespace(CAST(current_schema() AS TEXT))
            UNION SELECT CAST(proname AS TEXT) FROM pg_proc
            WHERE pronamespace = to_regnamespace(CAST(current_schema() AS TEXT))"""
        )
        return {name for (name,) in rows}

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns in order, or [] if there is no such table."""
        rows = self.execute(
            """SELECT CAST(attname AS TEXT) FROM pg_attribute WHERE attrelid = to_regclass(?)
            AND attnum > 0 AND NOT attisdropped AND attidentity = '' ORDER BY attnum""",
            [quoted(table)],
        )
        return [name for (name,) in rows]

    @property
    def tables(self) -> PostgresTables:
        """Return what PostgreSQL reports of tables, and how it changes them."""
        return PostgresTables(self)

    def forbids_doubles(self, table: str, column: str) -> bool:
        """Return True if this column alone is the primary key or has a unique index."""
        [[indexes]] = self.execute(
            """SELECT count(*) FROM pg_index i JOIN pg_attribute a
            ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = to_regclass(?) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
            AND i.indnkeyatts = 1 AND a.attname = ?""",
            [quoted(table), column],
        )
        return bool(indexes)

    def json_key(self, column: str, field: str, kind: pa.DataType) -> str:
        """Return the SQL that reads a field of a JSON object in a column; it is null if it cannot be read."""
        text = f"_json_field({quoted(column)}, {literal(field)})"
        return f"_whole_number({text})" if pa.types.is_integer(kind) else text

    def json_list(self, values: Sequence[str], kinds: Sequence[pa.DataType]) -> str:
        """Return the SQL of a compact JSON list of values that are not null, whose types are `kinds`."""
        texts = [f"CAST({value} AS TEXT)" for value in values]
        items = [
            text if pa.types.is_integer(kind) else f"_json_string({text})"
            for text, kind in zip(texts, kinds, strict=True)
        ]
        listed = " || ',' || ".join(items)
        return f"('[' || {listed} || ']')"

    def json_items(self) -> str:
        """Return the query that yields the items of a JSON list, its one parameter, as text named `value`."""
        return "SELECT value FROM json_array_elements_text(CAST(? AS JSON))"

    def moment(self, text: str) -> str:
        """Return the SQL of a stored moment, given the SQL of its text (UTC)."""
        return f"CAST({text} || '+00' AS TIMESTAMPTZ)"

    def moment_text(self, stored: str) -> str:
        """Return the SQL of the text (UTC) of a stored moment."""
        return f"to_char({stored} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"

    def misses_glob(self, column: str, glob: str) -> tuple[str, str]:
        """Return the condition that a column does not match a glob, and the value to bind in it."""
        return f"{column} !~ ?", dialect.pattern(glob)

    def _inserted(self, table: str) -> int | None:
        """Return how many rows this transaction has inserted into a table, or None if nothing counts them."""
        if self._state() == "idle":
            return None
        [[inserted]] = self.execute(
            """SELECT pg_stat_get_xact_tuples_inserted(to_regclass(?))
            WHERE current_setting('track_counts') = 'on' UNION ALL SELECT NULL LIMIT 1""",
            [quoted(table)],
        )
        return inserted

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[None]:
        """Undo a failed statement alone: without a savepoint it would fail the whole transaction."""
        inside = self._state() != "idle"
        if inside:
            self.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            if inside:
                self.execute("ROLLBACK TO SAVEPOINT attempt")
            raise
        if inside:
            self.execute("RELEASE SAVEPOINT attempt")

    def _state(self) -> str:
        return self._dbapi.adbc_connection.get_option("adbc.postgresql.transaction_status")

    def _spelled(self, sql: str) -> str:
        return dialect.numbered(sql)

    def _commit(self) -> None:
        if self._state() != "intrans":
            # COMMIT would roll back without an error.
            raise PipelineError(f"{self.name}: a statement of this transaction failed; nothing was changed")
        self.execute("COMMIT")

    def _statement(self) -> AbstractContextManager[Cursor]:
        return self._dbapi.cursor()

    def _problem(self, error: Error) -> PipelineError:
        return PipelineError(f"{self.name}: {explained(error)}")


class _OvertakenError(Exception):
    """Raised if another writer changed a row after it was compared and before it was written."""
