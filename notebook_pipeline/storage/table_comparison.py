"""The comparison of a dataset's declaration with the table that the database has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from notebook_pipeline.declare.column import MARKS, Column
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.stored_table import StoredColumn, StoredTable
from notebook_pipeline.storage.table_definition import (
    column_definition,
    key_columns,
    mark_type,
    table_definition,
)


@dataclass(frozen=True)
class Difference:
    """A difference in words, and the statement that removes it; "" if only a new table does.

    `is_safe` is True if the statement keeps every row and value, and lets other programs go on as before.
    """

    found: str
    statement: str = ""
    is_safe: bool = False


def missing_columns(dataset: Dataset, stored: StoredTable) -> list[Column]:
    """Return the declared columns that a run may add, because stored rows can have null in them."""
    return [column for column in _absent(dataset, stored) if column.nullable]


def check_table(database: Database, dataset: Dataset, stored: StoredTable) -> None:
    """Raise UsageError, with the statements that help, unless rows can be written as declared."""
    if is_foreign(stored):
        raise UsageError(foreign(database, dataset.name))
    found = list(differences(database, dataset, stored))
    if found:
        raise UsageError(
            f"{database.name}: {stored.kind} {dataset.name} is not as datasets/{dataset.name}.py declares "
            f"it: {'; '.join(difference.found for difference in found)}. Nothing was written. Change the "
            f"declaration, or the {stored.kind}: {remedy(database, dataset, stored, found)}"
        )


def is_foreign(stored: StoredTable) -> bool:
    """Return True if another program made a table: it lacks the columns that every dataset's table has."""
    return not set(MARKS) <= {column.name for column in stored.columns}


def foreign(database: Database, table: str) -> str:
    """Return the message that a table is another program's."""
    return (
        f"{database.name}: {table} exists, but has no columns {' and '.join(MARKS)}: another program made "
        f"it. Nothing was written. To take it over, with its rows, run `notebook-pipeline adopt {table}`"
    )


def differences(database: Database, dataset: Dataset, stored: StoredTable) -> Iterator[Difference]:
    """Yield all differences but columns that a run may add."""
    table = quoted(dataset.name)
    if stored.kind != "table":
        yield Difference(f"it is a {stored.kind}, expected a table", f"DROP {stored.kind.upper()} {table}")
        return
    for name in stored.interferences:
        yield Difference(
            f"{name} may change or drop rows that are written", database.tables.without(dataset.name, name)
        )
    yield from _of_columns(database, dataset, stored)
    declared = ", ".join(dataset.keys)
    narrower = [key for key in stored.keys if set(key) < set(dataset.keys)]
    if narrower:
        yield Difference(
            f"two rows cannot have the same {', '.join(narrower[0])}, but the declared key is {declared}",
            database.tables.with_other_key(dataset.name, key_columns(dataset)),
        )
    elif not stored.has_key(dataset.keys):
        yield Difference(
            f"two rows can have the same {declared}, which is the declared key",
            _unique_index(dataset),
            is_safe=True,
        )


def remedy(database: Database, dataset: Dataset, stored: StoredTable, found: Sequence[Difference]) -> str:
    """Return the statements that remove differences; those of a new table if one of them needs it."""
    if all(difference.statement for difference in found):
        return "; ".join(difference.statement for difference in found)
    # Columns that a run may add are not copied; a required one that is missing needs a value.
    spelled = {column.name.lower(): quoted(column.name) for column in stored.columns}
    values = {
        column.name: spelled.get(column.name.lower(), "…")
        for column in dataset.columns
        if column.name.lower() in spelled or not column.nullable
    }
    values |= {mark: quoted(mark) for mark in MARKS if stored.column(mark)}
    return "; ".join(rebuild(dataset.name, table_definition(database, dataset), values))


def _unique_index(dataset: Dataset) -> str:
    """Return the statement that makes the declared key one."""
    name = quoted(f"{dataset.name}_key")
    return f"CREATE UNIQUE INDEX {name} ON {quoted(dataset.name)} ({key_columns(dataset)})"


def rebuild(table: str, definition: str, values: dict[str, str]) -> list[str]:
    """Return the statements that give a table another definition: create, copy, drop, rename.

    `values` are the columns to copy, each with the SQL of its value in the present table.
    """
    copy = quoted(f"{table}_copy")
    return [
        f"CREATE TABLE {copy} {definition}",
        f"INSERT INTO {copy} ({', '.join(map(quoted, values))}) "
        f"SELECT {', '.join(values.values())} FROM {quoted(table)}",
        f"DROP TABLE {quoted(table)}",
        f"ALTER TABLE {copy} RENAME TO {quoted(table)}",
    ]


def _absent(dataset: Dataset, stored: StoredTable) -> list[Column]:
    """Return the declared columns that the table has under no spelling of their name."""
    there = {column.name.lower() for column in stored.columns}
    return [column for column in dataset.columns if column.name.lower() not in there]


def _of_columns(database: Database, dataset: Dataset, stored: StoredTable) -> Iterator[Difference]:
    table = quoted(dataset.name)
    declared = {column.name.lower(): column for column in dataset.columns}
    for column in _absent(dataset, stored):
        if not column.nullable:
            yield Difference(
                f"column {column.name} is missing, and is declared with nullable=False, which leaves no "
                "value for the stored rows",
                f"ALTER TABLE {table} ADD COLUMN {column_definition(database, column)} NOT NULL DEFAULT …",
            )
    for there in stored.columns:
        column = declared.get(there.name.lower())
        if column:
            yield from _of_column(database, dataset, there, column)
        elif there.name not in MARKS:
            yield Difference(
                f"column {there.name} ({there.type or 'of no type'}) is not declared",
                f"ALTER TABLE {table} DROP COLUMN {quoted(there.name)}",
            )
        elif there.type and not database.tables.keeps(there.type, pa.string()):
            yield Difference(f"column {there.name} is of type {there.type}, expected {mark_type(database)}")


def _of_column(
    database: Database, dataset: Dataset, there: StoredColumn, column: Column
) -> Iterator[Difference]:
    table, name = quoted(dataset.name), quoted(column.name)
    if there.name != column.name:
        yield Difference(
            f"column {there.name} is declared as {column.name}",
            f"ALTER TABLE {table} RENAME COLUMN {quoted(there.name)} TO {name}",
        )
        return
    if not there.is_written:
        yield Difference(
            f"the database computes column {column.name}, so that no value can be written",
            database.tables.without_expression(dataset.name, column.name),
        )
        return
    if not database.tables.keeps(there.type, column.type, is_key=column.name in dataset.keys):
        yield Difference(
            f"column {column.name} is of type {there.type}, but {column.type} is declared, which is stored "
            f"as {database.sql_type(column.type)}",
            database.tables.with_type(dataset.name, there, column.type),
            is_safe=database.tables.converts(there, column.type),
        )
    if column.nullable and not there.nullable:
        yield Difference(
            f"column {column.name} is NOT NULL, but is declared as nullable",
            database.tables.with_null(dataset.name, column.name),
        )
