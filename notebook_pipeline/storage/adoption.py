"""Taking over a table that another program made: its marks, its types, its key, and the values it holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from notebook_pipeline.declare.column import MARKS, Column
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.stored_table import StoredTable
from notebook_pipeline.storage.table_comparison import (
    differences,
    is_foreign,
    missing_columns,
    remedy,
)
from notebook_pipeline.storage.table_definition import column_definition, mark_type
from notebook_pipeline.storage.tables import forget

EXAMPLES = 3


@dataclass(frozen=True)
class Adoption:
    """What adopting a table takes: statements to run, and obstacles that only a person can remove."""

    rows: int
    statements: Sequence[str]
    obstacles: Sequence[str]


def plan_adoption(database: Database, dataset: Dataset) -> Adoption:
    """Return what it takes to adopt a dataset's table, without writing anything.

    Raises UsageError if there is no such table, or if it was adopted already.
    """
    stored = database.tables.read(dataset.name)
    if not stored:
        raise UsageError(
            f"{database.name}: no table {dataset.name}; there is nothing to adopt: the first load creates it"
        )
    if not is_foreign(stored) and not list(differences(database, dataset, stored)):
        raise UsageError(f"{database.name}: table {dataset.name} is adopted already; load it")
    if stored.kind != "table":
        return Adoption(0, (), [f"it is a {stored.kind}, expected a table"])
    statements, obstacles = list(_additions(database, dataset, stored)), list[str]()
    left = []
    for difference in differences(database, dataset, stored):
        if difference.is_safe:
            statements.append(difference.statement)
        else:
            left.append(difference)
            obstacles.append(difference.found)
    if left:
        obstacles[-1] += f" (change the declaration, or run: {remedy(database, dataset, stored, left)})"
    obstacles += _unfit_values(database, dataset, stored)
    [[rows]] = database.execute(f"SELECT count(*) FROM {quoted(dataset.name)}")
    return Adoption(rows, statements, obstacles)


def adopt(database: Database, dataset: Dataset) -> Adoption:
    """Adopt a table in one transaction; raise UsageError, with nothing written, if an obstacle remains."""
    with database.transaction():
        database.lock(dataset.name)
        # What the table holds must not change before its types do.
        database.tables.hold(dataset.name)
        adoption = plan_adoption(database, dataset)
        if adoption.obstacles:
            raise UsageError(
                f"{database.name}: table {dataset.name} cannot be adopted: {'; '.join(adoption.obstacles)}. "
                "Nothing was written"
            )
        for statement in adoption.statements:
            database.execute(statement)
        if "pipeline_run" in database.relations():
            forget(database, dataset.name)
        stored = database.tables.read(dataset.name)
        left = list(differences(database, dataset, stored)) if stored else []
        if left:
            raise UsageError(f"{database.name}: table {dataset.name} cannot be adopted: {left[0].found}")
    return adoption


def _additions(database: Database, dataset: Dataset, stored: StoredTable) -> Iterator[str]:
    """Yield the statements that add the marks, and declared columns that may be null."""
    definitions = [column_definition(database, column) for column in missing_columns(dataset, stored)]
    definitions += [f"{quoted(mark)} {mark_type(database)}" for mark in MARKS if not stored.column(mark)]
    for definition in definitions:
        yield f"ALTER TABLE {quoted(dataset.name)} ADD COLUMN {definition}"


def _unfit_values(database: Database, dataset: Dataset, stored: StoredTable) -> Iterator[str]:
    """Yield the columns that hold values which a run would not have stored, with examples."""
    for column in dataset.columns:
        there = stored.column(column.name)
        if there:
            unfit = database.tables.unfit(there, column.type)
            yield from _unfit(database, dataset, column, unfit)
    keys = ", ".join(map(quoted, dataset.keys))
    if not stored.has_key(dataset.keys) and all(map(stored.column, dataset.keys)):
        repeated = f"SELECT {keys} FROM {quoted(dataset.name)} GROUP BY {keys} HAVING count(*) > 1"
        found = database.execute(f"{repeated} ORDER BY {keys} LIMIT {EXAMPLES}")
        if found:
            examples = "; ".join(", ".join(map(repr, key)) for key in found)
            yield f"several rows have the same {', '.join(dataset.keys)}, such as {examples}"


def _unfit(database: Database, dataset: Dataset, column: Column, unfit: str) -> Iterator[str]:
    name = quoted(column.name)
    conditions = [f"{name} IS NOT NULL AND ({unfit})"] if unfit else []
    if not column.nullable:
        conditions.append(f"{name} IS NULL")
    if not conditions:
        return
    where = f"FROM {quoted(dataset.name)} WHERE {' OR '.join(f'({each})' for each in conditions)}"
    [[count]] = database.execute(f"SELECT count(*) {where}")
    if count:
        found = database.execute(f"SELECT DISTINCT CAST({name} AS TEXT) {where} ORDER BY 1 LIMIT {EXAMPLES}")
        examples = ", ".join("null" if value is None else repr(value) for (value,) in found)
        expected = f"{column.type}{'' if column.nullable else ', not null'}"
        yield (
            f"column {column.name} is declared as {expected}, but {count:,} of its values are not stored as "
            f"that, such as {examples}"
        )
