"""What a database holds under a table's name, as its engine reports it."""

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True)
class StoredColumn:
    """A column: its type as the engine writes it, and whether a value may be left out of an INSERT.

    `is_written` is False if the engine computes the value, so that it cannot be given.
    """

    name: str
    type: str
    nullable: bool = True
    has_default: bool = False
    is_written: bool = True


@dataclass(frozen=True)
class StoredTable:
    """A table or something else of its name.

    `kind` is `table`, or what it is instead, such as `view`. `keys` are the columns of the primary key and of
    every unique index that holds for all rows. `interferences` are the names of triggers, rules and policies
    that may change or drop what is written, each with what it is.
    """

    kind: str
    columns: tuple[StoredColumn, ...]
    keys: tuple[tuple[str, ...], ...]
    interferences: tuple[str, ...] = ()

    def column(self, name: str) -> StoredColumn | None:
        """Return the column with this name, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def has_key(self, names: tuple[str, ...]) -> bool:
        """Return True if no two rows can have the same values in exactly these columns."""
        return any(set(key) == set(names) for key in self.keys)


class Tables(Protocol):
    """What an engine reports of tables, and the statements by which it changes one.

    A statement is "" if the engine can change that only by making a new table.
    """

    clustered: str
    """What follows a definition of a table to keep its rows in the order of the primary key."""

    def read(self, table: str) -> StoredTable | None:
        """Return what the database holds under a name, or None."""
        ...

    def keeps(self, stored: str, kind: pa.DataType, *, is_key: bool = False) -> bool:
        """Return True if a column of the type `stored` gives back every value of a declared type."""
        ...

    def without(self, table: str, interference: str) -> str:
        """Return the statement that removes a trigger or whatever else interferes."""
        ...

    def with_other_key(self, table: str, columns: str) -> str:
        """Return the statement that makes columns the primary key in place of the present one."""
        ...

    def with_type(self, table: str, column: StoredColumn, kind: pa.DataType) -> str:
        """Return the statement that converts a column, which must lose nothing, to a declared type."""
        ...

    def converts(self, column: StoredColumn, kind: pa.DataType) -> bool:
        """Return True if the statement of `with_type` loses nothing."""
        ...

    def unfit(self, column: StoredColumn, kind: pa.DataType) -> str:
        """Return the SQL condition that a value is not one of a declared type, or "" if every value is."""
        ...

    def hold(self, table: str) -> None:
        """Keep others from changing a table until the transaction ends."""
        ...

    def with_null(self, table: str, column: str) -> str:
        """Return the statement that lets a column be null."""
        ...

    def without_expression(self, table: str, column: str) -> str:
        """Return the statement that lets values be written to a column that the engine computes."""
        ...

    def add_column(self, table: str, definition: str) -> None:
        """Add a column inside the transaction, not waiting long for those who use the table."""
        ...
