"""The numbered steps that bring the bookkeeping tables of an older database up to date.

Each step runs in one transaction with its row in `schema_version`, so that a database is always at a step.
A database with runs but without that table was made before there were steps, and is at version 0.
A step says what it changes by itself, not by the present tables, which later steps may change again.
"""

from collections.abc import Callable, Sequence

from notebook_pipeline import __version__
from notebook_pipeline.declare.column import MARKS
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage.bookkeeping import INTEGER, REAL, TEXT, Field, Table
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.ledger import now
from notebook_pipeline.storage.table_comparison import rebuild

VERSIONS = Table((Field("version", INTEGER), Field("applied_at"), Field("engine")), ("version",))


def bring_up_to_date(database: Database) -> None:
    """Apply the steps that an older database lacks; raise UsageError if it is newer than this engine.

    Processes that do this at the same time wait for each other, and each step is applied once.
    """
    version = stored_version(database)
    if version is None:
        return
    for step in range(version + 1, len(STEPS) + 1):
        with database.transaction():
            database.lock("tables")
            # Another process may have been faster.
            if stored_version(database) == step - 1:
                STEPS[step - 1](database)
                record(database, step)


def stored_version(database: Database) -> int | None:
    """Return the version of the bookkeeping tables, or None if there are none yet.

    Raises UsageError if they were changed by a newer engine than this one.
    """
    relations = database.relations()
    if "schema_version" not in relations:
        return 0 if "pipeline_run" in relations else None
    rows = database.execute("SELECT version, engine FROM schema_version ORDER BY version DESC LIMIT 1")
    version, engine = rows[0] if rows else (0, "")
    if version > len(STEPS):
        raise UsageError(
            f"{database.name}: notebook-pipeline {engine} has brought this database to version {version}, "
            f"but this is notebook-pipeline {__version__}, which knows the versions up to {len(STEPS)}; "
            f"install notebook-pipeline {engine} or later. Nothing was written"
        )
    return version


def record_all(database: Database) -> None:
    """Record every step in a new database, whose tables are the newest."""
    for step in range(1, len(STEPS) + 1):
        record(database, step)


def record(database: Database, step: int) -> None:
    """Record a step inside the transaction that applies it."""
    database.execute("INSERT INTO schema_version VALUES (?, ?, ?)", [step, now(), __version__])


def _start_versions(database: Database) -> None:
    """Step 1: create the table of versions."""
    _create(database, "schema_version", VERSIONS)


def _know_more_sources(database: Database) -> None:
    """Step 2: rows and sweeps come from more kinds of source than bulk files and APIs."""
    if database.is_shared:
        database.execute("ALTER TABLE extraction DROP CONSTRAINT IF EXISTS extraction_source_check")
        database.execute("ALTER TABLE sweep ADD COLUMN source TEXT NOT NULL DEFAULT 'api'")
        database.execute("ALTER TABLE sweep DROP CONSTRAINT IF EXISTS sweep_pkey")
        database.execute("ALTER TABLE sweep ADD PRIMARY KEY (dataset, source)")
        return
    sweep = Table(_texts("dataset source cursor run_id spared"), ("dataset", "source"))
    extraction = Table((*_texts("run_id dataset source place"), Field("is_replay", INTEGER)), ("run_id",))
    for name, table in {"sweep": sweep, "extraction": extraction}.items():
        values = {column: quoted(column) for column in table.names}
        if name == "sweep":
            values["source"] = "'api'"
        for statement in rebuild(name, f"({table.definition(database)})", values):
            database.execute(statement)


def _measure_numbers(database: Database) -> None:
    """Step 3: keep a measured value as a number, too, or as counts, where it is one."""
    database.execute(f"ALTER TABLE quality_result ADD COLUMN measured_number {database.sql_type(REAL)}")
    database.execute(f"ALTER TABLE quality_result ADD COLUMN measured_counts {database.sql_type(TEXT)}")


def _know_streams_and_children(database: Database) -> None:
    """Step 4: create the tables of streams, queues, child datasets and accepted rows."""
    counts = "rows_read rows_inserted rows_updated rows_unchanged rows_stale rows_rejected rows_deleted"
    tables = {
        "stream_position": Table(
            _texts("dataset source partition value run_id updated_at"), ("dataset", "source", "partition")
        ),
        "received_message": Table(
            _texts("dataset source message_id run_id received_at"), ("dataset", "source", "message_id")
        ),
        "accepted_row": Table(_texts("dataset key cursor run_id"), ("dataset", "key")),
        "run_child": Table(
            (*_texts("run_id dataset"), *(Field(name, INTEGER, nullable=True) for name in counts.split())),
            ("run_id", "dataset"),
        ),
    }
    for name, table in tables.items():
        _create(database, name, table)


def _read_keys_as_text(database: Database) -> None:
    """Step 5: drop the indexes by the keys of rejected rows: runs create them again, for keys as text."""
    others = {"rejected_row_run", "rejected_row_rowid_seq"}
    for index in sorted(database.relations() - others):
        if index.startswith("rejected_row_"):
            database.execute(f"DROP INDEX {quoted(index)}")


def _let_others_insert(database: Database) -> None:
    """Step 6: let other programs insert rows without marks, where that needs no new table."""
    if database.is_shared:
        for table in sorted(database.relations()):
            if set(MARKS) <= set(database.columns(table)):
                for mark in MARKS:
                    database.execute(f"ALTER TABLE {quoted(table)} ALTER COLUMN {mark} DROP NOT NULL")


STEPS: Sequence[Callable[[Database], None]] = (
    _start_versions,
    _know_more_sources,
    _measure_numbers,
    _know_streams_and_children,
    _read_keys_as_text,
    _let_others_insert,
)


def _create(database: Database, name: str, table: Table) -> None:
    database.execute(f"CREATE TABLE {name} ({table.definition(database)})")


def _texts(names: str) -> tuple[Field, ...]:
    return tuple(Field(name, TEXT) for name in names.split())
