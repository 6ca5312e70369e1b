"""What SQLite reports of a table, and which of its column types store a value as it is given."""

import pyarrow as pa

from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.sqlite_values import unfit_value
from notebook_pipeline.storage.stored_table import StoredColumn, StoredTable

# https://sqlite.org/datatype3.html#determination_of_column_affinity: the first that matches decides.
_AFFINITIES = (
    ("INTEGER", ("INT",)),
    ("TEXT", ("CHAR", "CLOB", "TEXT")),
    ("BLOB", ("BLOB",)),
    ("REAL", ("REAL", "FLOA", "DOUB")),
)


class SqliteTables:
    """The tables of a SQLite database."""

    clustered = " WITHOUT ROWID"

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, table: str) -> StoredTable | None:
        """Return what SQLite holds under a name, which it compares without regard to case, or None."""
        execute = self._database.execute
        found = execute(
            "SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')",
            [table],
        )
        if not found:
            return None
        rows = execute(
            """SELECT name, type, "notnull", dflt_value IS NOT NULL, hidden, pk
            FROM pragma_table_xinfo(?) ORDER BY cid""",
            [table],
        )
        triggers = execute(
            """SELECT 'trigger ' || name FROM sqlite_master
            WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY name""",
            [table],
        )
        return StoredTable(
            found[0][0],
            tuple(
                StoredColumn(name, kind, not (not_null or pk), bool(default), hidden == 0)
                for name, kind, not_null, default, hidden, pk in rows
            ),
            _keys(self._database, table, rows),
            tuple(trigger for (trigger,) in triggers),
        )

    def keeps(self, stored: str, kind: pa.DataType, *, is_key: bool = False) -> bool:
        """Return True if a column of the type `stored` gives back every value of a declared type."""
        affinity, wanted = _affinity(stored), _affinity(self._database.sql_type(kind))
        if affinity == wanted or not stored:
            return True
        # Numbers stay what they are, and no day, time or moment looks like a number.
        return affinity == "NUMERIC" and (wanted == "INTEGER" or pa.types.is_temporal(kind))

    def without(self, table: str, interference: str) -> str:
        """Return the statement that removes a trigger."""
        return f"DROP TRIGGER {quoted(interference.removeprefix('trigger '))}"

    def with_other_key(self, table: str, columns: str) -> str:
        """Return "": a primary key cannot be dropped."""
        return ""

    def with_type(self, table: str, column: StoredColumn, kind: pa.DataType) -> str:
        """Return "": the type of a column cannot be changed."""
        return ""

    def converts(self, column: StoredColumn, kind: pa.DataType) -> bool:
        """Return False: the type of a column cannot be changed."""
        return False

    def unfit(self, column: StoredColumn, kind: pa.DataType) -> str:
        """Return the SQL condition that a value is not stored as one of a declared type."""
        return unfit_value(quoted(column.name), self._database.sql_type(kind), kind)

    def hold(self, table: str) -> None:
        """Do nothing: a transaction holds the write lock of the whole file."""

    def with_null(self, table: str, column: str) -> str:
        """Return "": NOT NULL cannot be dropped."""
        return ""

    def without_expression(self, table: str, column: str) -> str:
        """Return "": a generated column stays one."""
        return ""

    def add_column(self, table: str, definition: str) -> None:
        """Add a column inside the transaction, which has the write lock already."""
        self._database.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {definition}")


def _affinity(declared: str) -> str:
    found = (affinity for affinity, signs in _AFFINITIES if any(sign in declared.upper() for sign in signs))
    return next(found, "NUMERIC" if declared else "BLOB")


def _keys(database: Database, name: str, rows: list[tuple]) -> tuple[tuple[str, ...], ...]:
    """Return the columns of the primary key and of each unique index, unless it compares texts loosely."""
    primary = [(pk, column) for column, *_, pk in rows if pk]
    kinds = {column: kind for column, kind, *_ in rows}
    keys = [tuple(column for _, column in sorted(primary))]
    if len(primary) != 1 or _affinity(kinds[primary[0][1]]) != "INTEGER":
        keys = []  # it has an index, which tells how it compares
    for (index,) in database.execute(
        """SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial ORDER BY name""", [name]
    ):
        parts = database.execute(
            'SELECT name, coll FROM pragma_index_xinfo(?) WHERE "key" ORDER BY seqno', [index]
        )
        if all(column is not None and collation == "BINARY" for column, collation in parts):
            keys.append(tuple(column for column, _ in parts))
    return tuple(keys)
