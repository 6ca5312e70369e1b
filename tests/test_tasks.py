"""When a full sweep is due, and how a run's tasks are described."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from notebook_pipeline.airflow import tasks
from notebook_pipeline.airflow.tasks import bulk_sources, describe, sweep_is_due, task_of
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


def test_a_notebooks_result_is_told_in_words() -> None:
    loaded = {"artifact": "runs/x.ipynb", "rows_read": 20000, "rows_inserted": 20000, "rows_updated": 0}
    assert describe(loaded) == "; read 20,000, inserted 20,000, updated 0; see runs/x.ipynb"
    checked = {"artifact": "runs/y.ipynb", "verdict": "failed", "failed": ["ids are unique"], "error": "no"}
    assert describe(checked) == "; checks failed; failed: ids are unique; no; see runs/y.ipynb"
    assert describe({"message": "up"}) == describe(None) == describe(True) == ""


def test_files_are_shared_out_among_the_task_slots(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).touch()
    files = Connection("files", "fs", extra={"path": str(tmp_path)})
    assert bulk_sources("*.csv", files, 2) == ["a.csv", "b.csv\nc.csv"]
    assert bulk_sources("*.csv", files, 1) == ["*.csv"]
    assert bulk_sources("rejected:240921-00000000000001", files, 8) == ["rejected:240921-00000000000001"]


@pytest.mark.parametrize(("kind", "expected"), [("sqlite", ["*.csv"]), ("postgres", ["a.csv", "b.csv"])])
def test_only_a_database_with_several_writers_is_loaded_by_several_tasks(
    kind: str,
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).touch()
    files = Connection("files", "fs", extra={"path": str(tmp_path)})
    found = {"files": files, "database": Connection("database", kind)}
    params = {"source": "*.csv", "file_conn_id": "files", "database_conn_id": "database"}
    monkeypatch.setattr(tasks, "_context", lambda: {"params": params})
    monkeypatch.setattr(tasks, "resolve_connection", found.__getitem__)
    assert tasks.plan_bulk_load.function() == [{"source": source} for source in expected]
    assert f"load 0 of {len(expected)}: {expected[0]}\n" in capsys.readouterr().out
    params["source"] = "https://files.example/p.csv?of=hidden"
    assert tasks.plan_bulk_load.function() == [{"source": params["source"]}]
    assert "hidden" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("https://me:hidden@files.example/p.csv", "a password"),
        ("https://files.example/p.csv?sig=hidden", "a secret in its query"),
    ],
)
def test_a_source_with_a_secret_is_handed_to_nobody(
    source: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_context", lambda: {"params": {"source": source}})
    with pytest.raises(AirflowFailException, match=f"source holds an address with {what}") as refused:
        tasks.plan_bulk_load.function()
    assert "hidden" not in str(refused.value)


def test_what_cannot_be_listed_is_left_to_one_notebook_to_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = Connection("files", "fs", extra={"path": str(tmp_path)})
    assert bulk_sources("nothing/*.csv", files, 8) == ["nothing/*.csv"]
    assert "One task loads it all: no file 'nothing/*.csv'" in capsys.readouterr().out


def test_a_mapped_task_is_told_by_its_index() -> None:
    tasks = {"load", "load_2", "report_run"}
    assert task_of("load_0", tasks) == ("load", 0)
    assert task_of("load_2", tasks) == ("load_2", -1)
    assert task_of("load_2_11", tasks) == ("load_2", 11)
