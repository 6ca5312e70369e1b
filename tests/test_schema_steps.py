"""Databases of older engines, brought up to date in steps, each of them whole or not at all."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import loads
import pytest
from databases import connection
from declared import PLAYER

from notebook_pipeline import __version__
from notebook_pipeline.errors import UsageError
from notebook_pipeline.review.queries import list_runs, open_ledger
from notebook_pipeline.storage import schema_steps
from notebook_pipeline.storage.bookkeeping import TABLES
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_table, create_tables

# Made by the first engine, without steps: a bulk load that rejected a row, an update, and a deleting sweep.
VERSION_0 = Path(__file__).parent / "data" / "version_0.db"
NEWEST = len(schema_steps.STEPS)
RUNS = [f"261101-12000{number}000000ab" for number in (1, 2, 3)]

SPAWNED = multiprocessing.get_context("spawn")


def old(folder: Path) -> Database:
    """Open a copy of the old database as it is."""
    shutil.copy(VERSION_0, folder / "analytics_database.db")
    return connect(connection(folder))


def versions(database: Database) -> list[int]:
    """Return the recorded steps."""
    return [version for (version,) in database.execute("SELECT version FROM schema_version ORDER BY version")]


def test_every_row_of_an_old_database_is_kept(tmp_path: Path) -> None:
    with old(tmp_path) as database:
        tables = [
            "player",
            "pipeline_run",
            "watermark",
            "rejected_row",
            "deleted_row",
            "sweep",
            "extraction",
            "quality_result",
        ]
        before = {table: database.query(f"SELECT * FROM {table}").to_pylist() for table in tables}
        create_tables(database)
        create_table(database, PLAYER)
        after = {table: database.query(f"SELECT * FROM {table}").to_pylist() for table in tables}
        before["quality_result"][0] |= {"measured_number": None, "measured_counts": None}
        before["sweep"][0]["source"] = "api"
        assert after == before
        assert [len(rows) for rows in after.values()] == [3, 3, 2, 1, 1, 1, 3, 1]
        assert versions(database) == list(range(1, NEWEST + 1))
        assert database.execute("SELECT DISTINCT engine FROM schema_version") == [(__version__,)]


def test_an_old_database_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with old(tmp_path) as database, connect(connection(tmp_path / "new")) as new:
        create_tables(database)
        create_tables(new)
        assert {table: shape(database, table) for table in TABLES} == {
            table: shape(new, table) for table in TABLES
        }
        indexes = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' ORDER BY 1"
        assert database.execute(indexes) == new.execute(indexes)


def shape(database: Database, table: str) -> list[tuple]:
    """Return columns with their types, and whether they may be null."""
    return database.execute(
        """SELECT name, type, "notnull" OR pk, pk FROM pragma_table_info(?) ORDER BY cid""", [table]
    )


def test_loads_go_on_in_an_old_database(tmp_path: Path) -> None:
    with old(tmp_path) as database:
        create_tables(database)
        create_table(database, PLAYER)
        stale = [(3, "c", "2024-01-03"), (5, "old", "2024-01-01")]
        run = loads.run(database, loads.BULK, loads.checked([*stale, (6, "f", "2026-12-01")]))
        assert loads.players(database) == [
            (1, "a", "2024-01-01", RUNS[0], "api"),
            (2, "B", "2024-01-05", RUNS[1], "api"),
            (5, "e", "2024-01-05", RUNS[1], "api"),
            (6, "f", "2026-12-01", run, "bulk"),
        ]


def test_a_database_that_is_up_to_date_is_not_written_to(tmp_path: Path) -> None:
    with old(tmp_path) as database:
        create_tables(database)
    with connect(connection(tmp_path), read_only=True) as database:
        create_tables(database)


def test_a_command_that_only_reads_brings_an_old_database_up_to_date(home: Path) -> None:
    (home / "output").mkdir()
    old(home / "output").close()
    with open_ledger() as database:
        assert [run["run_id"] for run in list_runs(database)] == RUNS[::-1]
        assert versions(database) == list(range(1, NEWEST + 1))


@pytest.mark.usefixtures("each_database")
def test_a_new_database_has_every_step_recorded(tmp_path: Path) -> None:
    with connect(connection(tmp_path)) as database:
        create_tables(database)
        assert versions(database) == list(range(1, NEWEST + 1))


@pytest.mark.usefixtures("each_database")
def test_an_older_engine_refuses_a_newer_database(tmp_path: Path) -> None:
    with connect(connection(tmp_path)) as database:
        create_tables(database)
        database.execute("INSERT INTO schema_version VALUES (?, 'then', '9.9.0')", [NEWEST + 1])
        with pytest.raises(UsageError, match=rf"version {NEWEST + 1}.* install notebook-pipeline 9.9.0 or"):
            create_tables(database)


@pytest.mark.usefixtures("each_database")
@pytest.mark.only("postgres")
def test_an_old_database_in_postgres_is_brought_up_to_date(tmp_path: Path) -> None:
    with connect(connection(tmp_path)) as database:
        create_tables(database)
        create_table(database, PLAYER)
        _make_old(database)
        create_tables(database)
        create_table(database, PLAYER)
        assert versions(database) == list(range(1, NEWEST + 1))
        loads.run(database, loads.BULK, loads.checked([(1, "a", "2024-01-01")]))
        database.execute("INSERT INTO player VALUES (2, NULL, 'a', 'b', 'QB', '2024-01-01', NULL, NULL)")
        database.execute("INSERT INTO deleted_row VALUES ('x', '1', '', 'r')")
        database.execute("INSERT INTO extraction VALUES ('r', 'x', 'stream', 'p', 0)")


def _make_old(database: Database) -> None:
    """Undo the steps: these are the differences of the first engine's tables."""
    for table in ("schema_version", "run_child", "stream_position", "received_message", "accepted_row"):
        database.execute(f"DROP TABLE {table}")
    for statement in (
        "ALTER TABLE quality_result DROP COLUMN measured_number, DROP COLUMN measured_counts",
        "ALTER TABLE sweep DROP COLUMN source",
        "ALTER TABLE sweep ADD PRIMARY KEY (dataset)",
        "ALTER TABLE extraction ADD CHECK (source IN ('bulk', 'api'))",
        "ALTER TABLE player ALTER COLUMN _run_id SET NOT NULL, ALTER COLUMN _source SET NOT NULL",
    ):
        database.execute(statement)


def upgrade_and_die(folder: Path, step: int) -> None:
    """Bring the database up to date, but be killed within a step, after its changes and before its commit."""
    apply = schema_steps.STEPS[step - 1]

    def apply_and_die(database: Database) -> None:
        apply(database)
        os.kill(os.getpid(), signal.SIGKILL)

    steps = [*schema_steps.STEPS]
    steps[step - 1] = apply_and_die
    schema_steps.STEPS = steps
    with connect(connection(folder)) as database:
        create_tables(database)


@pytest.mark.parametrize("step", range(1, NEWEST + 1))
def test_a_process_that_is_killed_within_a_step_leaves_the_step_before(tmp_path: Path, step: int) -> None:
    old(tmp_path).close()
    process = SPAWNED.Process(target=upgrade_and_die, args=(tmp_path, step))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with connect(connection(tmp_path)) as database:
        there = "schema_version" in database.relations()
        assert (versions(database) if there else []) == list(range(1, step))
        create_tables(database)
        assert versions(database) == list(range(1, NEWEST + 1))
        assert shape(database, "deleted_row")[2] == ("cursor", "TEXT", 1, 0)
        assert database.execute("SELECT dataset, key, cursor FROM deleted_row") == [
            ("player", "3", "2024-01-03")
        ]


def upgrade(folder: Path, found: Any) -> None:
    """Bring the database up to date after telling which version it has."""
    with connect(connection(folder)) as database:
        found.put(schema_steps.stored_version(database))
        create_tables(database)


def test_processes_that_upgrade_at_once_apply_each_step_once(tmp_path: Path) -> None:
    with old(tmp_path) as database:
        found = SPAWNED.Queue()
        processes = [SPAWNED.Process(target=upgrade, args=(tmp_path, found)) for _ in range(3)]
        with database.transaction():  # for which all of them wait
            for process in processes:
                process.start()
            assert [found.get(timeout=60) for _ in processes] == [0, 0, 0]
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0, 0]
        assert versions(database) == list(range(1, NEWEST + 1))
