"""The bookkeeping tables and those of datasets: creating them if they are missing, and comparing them."""

from collections.abc import Mapping, Sequence

from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.declare.column import MARKS, Column
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.storage import table_comparison
from notebook_pipeline.storage.bookkeeping import INDEXES, TABLES
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.keys import is_rejected, rejected_key
from notebook_pipeline.storage.schema_steps import bring_up_to_date, record_all, stored_version
from notebook_pipeline.storage.table_definition import column_definition, table_definition

# The code of PostgreSQL for a privilege that the login lacks.
_NO_RIGHT = "42501"
# What runs have recorded of a dataset's rows and sources, which means nothing for other rows.
_RECORDED = (
    "watermark",
    "stream_position",
    "loaded_file",
    "row_place",
    "deleted_row",
    "accepted_row",
    "sweep",
)


def create_tables(database: Database) -> None:
    """Create the bookkeeping tables and indexes that are missing; write nothing if there are none.

    Those of an older database are brought up to date first. Raises UsageError if the database is newer than
    this engine, or if a table's columns are not those of this version.
    """
    bring_up_to_date(database)
    there = database.relations()
    for table in TABLES.keys() & there:
        _check_columns(database, table)
    if not {*TABLES, *INDEXES, *database.functions} <= there:
        with database.transaction():
            database.lock("tables")
            is_new = stored_version(database) is None
            tables = {name: f"({table.definition(database)})" for name, table in TABLES.items()}
            _create(database, tables, INDEXES, database.functions)
            if is_new:
                record_all(database)


def create_table(database: Database, dataset: Dataset) -> None:
    """Create a dataset's table and its index of rejected rows if they are missing.

    Raises UsageError, with the statements that help, if rows cannot be written as declared to the table that
    is there. A declared column that it lacks and that may be null is no reason: see `add_missing_columns`.
    """
    stored = database.tables.read(dataset.name)
    if stored:
        table_comparison.check_table(database, dataset, stored)
    index = f"rejected_row_{dataset.name}"
    there = database.relations()
    if not stored or index not in there:
        where = f"rejected_row (({rejected_key(database, dataset)})) WHERE {is_rejected(dataset)}"
        with database.transaction():
            database.lock("tables")
            if not stored and not database.tables.read(dataset.name):
                forget(database, dataset.name)
            _create(database, {dataset.name: table_definition(database, dataset)}, {index: where})
    if not stored:
        # Another process may have created it from another declaration.
        created = database.tables.read(dataset.name)
        assert created  # noqa: S101 - it is there now
        table_comparison.check_table(database, dataset, created)


def index_parents(database: Database, nested: Nested) -> None:
    """Create the index by which the rows of a parent are found, unless the child's key begins with it."""
    columns = nested.key_of_parent
    index = f"parents_of_{nested.dataset.name}"
    if {*nested.dataset.keys[: len(columns)]} == {*columns} or index in database.relations():
        return
    listed = ", ".join(map(quoted, columns))
    with database.transaction():
        database.lock("tables")
        _create(database, {}, {index: f"{quoted(nested.dataset.name)} ({listed})"})


def refuse_foreign(database: Database, table: str) -> None:
    """Raise UsageError if a table exists that another program made and that was not adopted."""
    stored = database.tables.read(table)
    if stored and table not in TABLES and table_comparison.is_foreign(stored):
        raise UsageError(table_comparison.foreign(database, table))


def missing_columns(database: Database, dataset: Dataset) -> list[Column]:
    """Return the declared columns that a dataset's table lacks and that the next load adds."""
    stored = database.tables.read(dataset.name)
    return table_comparison.missing_columns(dataset, stored) if stored else []


def add_missing_columns(database: Database, dataset: Dataset) -> None:
    """Add the declared columns that the table lacks, inside the transaction of a load.

    The watermarks of the dataset are removed, so that the next live run reads everything and fills the
    columns. Raises UsageError, with the statement, if this login may not change the table.
    """
    for column in missing_columns(database, dataset):
        definition = column_definition(database, column)
        try:
            database.tables.add_column(dataset.name, definition)
        except PipelineError as error:
            if getattr(error.__cause__, "sqlstate", None) != _NO_RIGHT:
                raise
            raise UsageError(
                f"{dataset.name}: column {column.name} is declared, but the table lacks it, and this login "
                f"may not add it ({error}). Nothing was written. Have the table's owner run: "
                f"ALTER TABLE {quoted(dataset.name)} ADD COLUMN {definition}"
            ) from None
        read_everything(database, dataset.name)


def read_everything(database: Database, dataset: str) -> None:
    """Remove the watermarks of a dataset, so that its next live run reads everything."""
    for table in ("watermark", "stream_position"):
        database.execute(f"DELETE FROM {table} WHERE dataset = ?", [dataset])


def forget(database: Database, dataset: str) -> None:
    """Delete what runs have recorded of a table of this name, in the transaction that creates it again."""
    for table in _RECORDED:
        database.execute(f"DELETE FROM {table} WHERE dataset = ?", [dataset])


def dataset_tables(database: Database) -> list[str]:
    """Return the names of the tables that runs have written, whether or not they are still declared."""
    others = sorted(database.relations() - TABLES.keys() - INDEXES.keys())
    return [name for name in others if set(MARKS) <= set(database.columns(name))]


def bookkeeping() -> tuple[str, ...]:
    """Return the names of the bookkeeping tables."""
    return tuple(TABLES)


def _create(
    database: Database,
    tables: Mapping[str, str],
    indexes: Mapping[str, str],
    functions: Mapping[str, str] = {},
) -> None:
    """Create what is missing, inside the caller's transaction."""
    for statement in functions.values():
        database.execute(statement)
    for name, definition in tables.items():
        database.execute(f"CREATE TABLE IF NOT EXISTS {quoted(name)} {definition}")
    for name, rest in indexes.items():
        database.execute(f"CREATE INDEX IF NOT EXISTS {quoted(name)} ON {rest}")


def _check_columns(database: Database, table: str) -> None:
    there: Sequence[str] = database.columns(table)
    expected = TABLES[table].names
    if sorted(there) != sorted(expected):
        raise UsageError(
            f"{database.name}: table {table} has the columns {there}, but this version expects {expected}. "
            "Nothing was written. Change the table (ALTER TABLE) or, if another program made it, rename it"
        )
