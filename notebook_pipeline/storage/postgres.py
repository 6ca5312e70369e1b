"""Keep the analytics database in PostgreSQL: rows go in by COPY, and several machines may write at once."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import adbc_driver_postgresql.dbapi as postgres
import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_manager.dbapi import Cursor

from notebook_pipeline.connections import Connection, postgres_uri
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage import dialect
from notebook_pipeline.storage.database import Database, Lock, literal, quoted

# One writer waits so long for another's whole transaction.
LOCK_TIMEOUT_MS = 15 * 60 * 1000
# A run is alive as long as its session is: the server has to notice soon when its machine is gone.
_SETTINGS = {
    "client_encoding": "UTF8",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
    # Statements are many and small: to compile them takes longer than to run them.
    "jit": "off",
}
_UNIQUE_VIOLATION = "23505"
_REMEDIES = {
    "23505": "another writer stored it at the same time; run again",
    "25006": "this connection is for reading only",
    "28": "check login and password of the connection",
    "3D000": "make the database, or correct the connection's schema, which names it",
    "40P01": "another load wrote the same rows in another order; nothing was changed, run again",
    "40001": "another writer changed the same rows; nothing was changed, run again",
    "42501": "grant it to the login of the connection",
    "53": "see that the server has disk space and connections left, and run again; nothing was changed",
    "55P03": "another writer held it too long; see which run is `running` and run again",
    "57": "the server ended this connection; what was not committed is rolled back, run again",
}


class PostgresDatabase(Database):
    """Speak to a PostgreSQL database, in which bulk loads of a dataset run side by side."""

    is_shared = True
    begin = "BEGIN"
    row_number = ", rowid BIGINT GENERATED ALWAYS AS IDENTITY"
    functions: ClassVar = {"_json_field": dialect.JSON_FIELD, "_whole_number": dialect.WHOLE_NUMBER}

    def __init__(self, connection: Connection, *, read_only: bool = False) -> None:
        place = f"{connection.host or 'localhost'}:{connection.port or 5432}/{connection.schema}"
        name = f"postgresql://{place}"
        self._held: set[int] = set()
        try:
            super().__init__(postgres.connect(postgres_uri(connection), autocommit=True), name)
        except Error as error:
            said = _without(connection, _said(error))
            raise PipelineError(
                f"{name}: cannot be opened as a database: {said}; check the connection "
                f"{connection.conn_id!r}, and that the server runs"
            ) from None
        settings = _SETTINGS | {"lock_timeout": str(LOCK_TIMEOUT_MS)}
        settings["default_transaction_read_only"] = "on" if read_only else "off"
        calls = ", ".join(
            f"set_config({literal(key)}, {literal(value)}, false)" for key, value in settings.items()
        )
        try:
            self.execute(f"SELECT {calls}")
        except PipelineError:
            self.close()
            raise

    def define(self, sql: str) -> None:
        """Run a statement that makes a table or an index."""
        self.execute(dialect.typed(sql))

    def empty(self, table: str) -> None:
        """Remove all rows of a temporary table; deleted ones would be read again by every statement."""
        self.execute(f"TRUNCATE {quoted(table)}")

    def append(self, table: str, rows: pa.RecordBatch | pa.Table, marks: Mapping[str, str] = {}) -> bool:
        """Append rows by COPY; return False, none appended, where one has a key that is stored."""
        columns = {name: dialect.stored(rows.column(name)) for name in rows.schema.names}
        columns |= {name: pa.repeat(pa.scalar(mark), rows.num_rows) for name, mark in marks.items()}
        try:
            with self._undone_if_it_fails(), self._cursor() as cursor:
                if rows.num_rows:
                    # The driver looks for a table in one schema only; temporary ones have their own.
                    is_temporary = table.startswith("_")
                    cursor.adbc_ingest(
                        table, dialect.in_pieces(columns), mode="append", temporary=is_temporary
                    )
        except PipelineError as error:
            if getattr(error.__cause__, "sqlstate", None) == _UNIQUE_VIOLATION:
                return False
            raise
        return True

    def upsert(self, sql: str, expected: int) -> bool:
        """Run a statement that writes so many rows, or nothing where it writes fewer."""
        try:
            with self._undone_if_it_fails(), self._cursor() as cursor:
                cursor.execute(sql)
                if cursor.rowcount != expected:
                    raise _OvertakenError
        except _OvertakenError:
            return False
        return True

    def lock(self, name: str, *, shared: bool = False) -> None:
        """Let the transaction wait until no other holds this lock, or none holds it unshared."""
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        self.execute(f"SELECT CAST({function}(?) AS TEXT)", [_number("lock", name)])

    def hold_run(self, run_id: str, file: Path) -> Lock:
        """Take a run's lock for as long as this session lives; raise PipelineError where it is held."""
        number = _number("run", run_id)
        # One session may take a lock twice.
        if number in self._held or not self.execute("SELECT pg_try_advisory_lock(?)", [number])[0][0]:
            raise PipelineError(f"{self.name}: another process is working on run {run_id}")
        self._held.add(number)
        return _SessionLock(self, number)

    def release(self, number: int) -> None:
        """Give up a lock that this session took."""
        if number in self._held:
            self._held.remove(number)
            # Where the session has ended, so has its lock.
            with suppress(PipelineError):
                self.execute("SELECT pg_advisory_unlock(?)", [number])

    def is_run_held(self, run_id: str, file: Path) -> bool:
        """Say whether some session holds a run's lock."""
        number = _number("run", run_id)
        return bool(
            self.execute(
                """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND (CAST(classid AS BIGINT) << 32) | CAST(objid AS BIGINT) = ?""",
                [number],
            )[0][0]
        )

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
        """Return the names of a table's columns in their order, none where there is no such table."""
        rows = self.execute(
            """SELECT CAST(attname AS TEXT) FROM pg_attribute WHERE attrelid = to_regclass(?)
            AND attnum > 0 AND NOT attisdropped AND attidentity = '' ORDER BY attnum""",
            [quoted(table)],
        )
        return [name for (name,) in rows]

    def forbids_doubles(self, table: str, column: str) -> bool:
        """Say whether the primary key or a unique index on this column alone keeps its values apart."""
        [[indexes]] = self.execute(
            """SELECT count(*) FROM pg_index i JOIN pg_attribute a
            ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = to_regclass(?) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
            AND i.indnkeyatts = 1 AND a.attname = ?""",
            [quoted(table), column],
        )
        return bool(indexes)

    def json_key(self, column: str, field: str, kind: str) -> str:
        """Return the SQL that reads a field of a JSON object in a column, as far as it can be read."""
        text = f"_json_field({quoted(column)}, {literal(field)})"
        return text if kind == "TEXT" else f"_whole_number({text})"

    def json_items(self, kind: str) -> str:
        """Return the query of the items of a JSON list that is bound in it."""
        value = "value" if kind == "TEXT" else "CAST(value AS BIGINT)"
        return f"SELECT {value} FROM json_array_elements_text(CAST(? AS JSON))"

    def misses_glob(self, column: str, glob: str) -> tuple[str, str]:
        """Return the condition that a text is not like a glob, and the value to bind in it."""
        return f"{column} !~ ?", dialect.pattern(glob)

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[None]:
        """Undo what failed inside a transaction, which otherwise would be lost as a whole."""
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
            # COMMIT would say nothing, and roll back.
            raise PipelineError(f"{self.name}: a statement of this transaction failed; nothing was changed")
        self.execute("COMMIT")

    def _statement(self) -> AbstractContextManager[Cursor]:
        return self._dbapi.cursor()

    def _problem(self, error: Error) -> PipelineError:
        state = error.sqlstate or ""
        remedy = next((remedy for sign, remedy in _REMEDIES.items() if state.startswith(sign)), "")
        return PipelineError(f"{self.name}: {_said(error)}{f' ({remedy})' if remedy else ''}")


class _OvertakenError(Exception):
    """Say that another writer changed a row between being judged and being written."""


class _SessionLock:
    """Hold an advisory lock of a session."""

    def __init__(self, database: PostgresDatabase, number: int) -> None:
        self._database = database
        self._number = number

    def release(self) -> None:
        """Give the lock up; to do so twice does nothing."""
        self._database.release(self._number)


def _number(kind: str, name: str) -> int:
    """Return the number of an advisory lock: names are texts, those of the server's locks are not."""
    digest = hashlib.sha256(f"notebook_pipeline {kind} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _said(error: Error) -> str:
    """Return what the server or the driver said, without the statement."""
    said = {_text(key): _text(value) for key, value in error.details}
    first = said.get("PG_DIAG_MESSAGE_PRIMARY") or str(error).split("\nQuery was:")[0]
    lines = [first.removeprefix("IO: [libpq] "), said.get("PG_DIAG_MESSAGE_DETAIL", "")]
    return ": ".join(" ".join(line.split()) for line in lines if line)


def _text(part: str | bytes) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def _without(connection: Connection, said: str) -> str:
    """Return a message without the secrets of the connection, which no part of it should hold anyway."""
    for secret in connection.secrets():
        said = said.replace(secret, "…")
    return said
