"""When a full sweep is due."""

from collections.abc import Iterator
from datetime import date

import pytest

from notebook_pipeline.airflow.sweep_schedule import sweep_is_due
from notebook_pipeline.connections import Connection
from notebook_pipeline.running.run_identity import new_run_id
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_tables

SATURDAY, SUNDAY, MONDAY = "2024-09-21", "2024-09-22", "2024-09-23"
TODAY = date(2024, 9, 24)


@pytest.fixture
def database(tmp_path) -> Iterator[Database]:
    with connect(Connection("analytics_database", "sqlite", host=str(tmp_path / "ledger.db"))) as database:
        create_tables(database)
        yield database


def ran(database: Database, day: str, *, full_sweep: bool, status: str = "success") -> None:
    run_id = new_run_id()
    ledger.start_run(
        database,
        run_id=run_id,
        dag_id="a_dag",
        dag_run_id="a_run",
        task_id="update",
        notebook="api_incremental_update",
        notebook_sha256="",
        parameters={"dataset": "player", "full_sweep": full_sweep},
        artifact=None,
    )
    ledger.finish_run(database, run_id, status)
    began = f"{day}T00:00:00.000000+00:00"
    database.execute("UPDATE pipeline_run SET started_at = ? WHERE run_id = ?", [began, run_id])


def due(database: Database, today: date = TODAY) -> bool:
    return sweep_is_due(database, "player", today)


def test_a_source_that_is_new_is_not_swept(database: Database) -> None:
    assert not due(database)
    ran(database, SUNDAY, full_sweep=False)
    assert not due(database)


def test_the_first_run_from_sunday_on_sweeps(database: Database) -> None:
    ran(database, SATURDAY, full_sweep=True)
    assert not due(database, date(2024, 9, 21))
    assert due(database, date(2024, 9, 22))


def test_a_sweep_that_was_missed_or_failed_is_made_up_for_once(database: Database) -> None:
    ran(database, SATURDAY, full_sweep=False)
    ran(database, SUNDAY, full_sweep=True, status="failed")
    assert due(database)
    ran(database, MONDAY, full_sweep=True)
    assert not due(database)


def test_another_dataset_has_weeks_of_its_own(database: Database) -> None:
    ran(database, SATURDAY, full_sweep=False)
    assert not sweep_is_due(database, "team", TODAY)
