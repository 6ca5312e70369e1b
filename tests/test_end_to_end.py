"""Both DAGs through Airflow, as `make run` runs them: on the sample API, again, and with the API down."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from declared import PLAYER
from story import ADA, BO, Story

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, default, variable
from notebook_pipeline.storage.connect import connect
from sample import make_run
from sample.demo_environment import airflow_environment, sample_environment
from sample.players import changed_players

BULK, RECURRING = make_run.DAG_IDS
COUNTS = ("rows_inserted", "rows_updated", "rows_unchanged", "rows_stale", "rows_rejected")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the checkout's notebooks write to a folder of this test."""
    for name in [name for name in os.environ if name.startswith("NOTEBOOK_PIPELINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path / "output"))
    return tmp_path / "output"


def rows(sql: str) -> list[dict[str, Any]]:
    with connect(default(DATABASE), read_only=True) as database:
        return database.query(sql).to_pylist()


def metadata(home: Path, sql: str) -> list[tuple]:
    with sqlite3.connect(f"file:{home}/airflow.db?mode=ro", uri=True) as database:
        return database.execute(sql).fetchall()


def stored_players() -> list[dict[str, Any]]:
    return rows(f"SELECT {', '.join(PLAYER.schema.names)} FROM player ORDER BY player_id")


def served_players() -> list[dict[str, Any]]:
    players = changed_players().sort_by("player_id").to_pylist()
    return [player | {"last_changed_date": str(player["last_changed_date"])} for player in players]


def test_both_dags_bring_the_table_to_what_the_api_serves_and_again_change_nothing(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / ".airflow"
    assert make_run.run_demonstration(home), capsys.readouterr().err
    first_runs = rows("SELECT * FROM pipeline_run ORDER BY run_id")
    first_rows = rows("SELECT * FROM player ORDER BY player_id")
    assert stored_players() == served_players()
    assert_honest(first_runs, output)
    assert_shown(first_runs, capsys.readouterr().out)
    assert rows("SELECT value FROM watermark WHERE source = 'api'") == [
        {"value": max(player["last_changed_date"] for player in served_players())}
    ]
    assert metadata(home, "SELECT dag_id, state FROM dag_run ORDER BY id") == [
        (BULK, "success"),
        (RECURRING, "success"),
    ]
    assert_published(home, first_runs)

    assert make_run.run_demonstration(home), capsys.readouterr().err
    again = rows("SELECT * FROM pipeline_run ORDER BY run_id")[len(first_runs) :]
    assert rows("SELECT * FROM player ORDER BY player_id") == first_rows
    assert [(run["rows_inserted"], run["rows_updated"]) for run in again if run["rows_read"] is not None] == [
        (0, 0),
        (0, 0),
    ]
    assert_honest(again, output)
    assert not {run["artifact"] for run in first_runs} & {run["artifact"] for run in again}
    assert all((output / run["artifact"]).exists() for run in first_runs)


def assert_honest(runs: list[dict[str, Any]], output: Path) -> None:
    """Hold the ledger's rows of one pass to their artefacts, and their counts to each other."""
    assert [(run["dag_id"], run["notebook"], run["status"]) for run in runs] == [
        (BULK, "bulk_load", "success"),
        (BULK, "data_quality", "success"),
        (RECURRING, "api_incremental_update", "success"),
        (RECURRING, "data_quality", "success"),
    ]
    for run in runs:
        notebook = json.loads((output / run["artifact"]).read_text())
        assert notebook["metadata"]["notebook_pipeline"]["run_id"] == run["run_id"]
        assert any(cell.get("outputs") for cell in notebook["cells"]), run["artifact"]
        if run["rows_read"] is not None:
            assert run["rows_read"] == sum(run[name] for name in COUNTS)


def assert_shown(runs: list[dict[str, Any]], told: str) -> None:
    for run in runs:
        [line] = [line for line in told.splitlines() if line.endswith(run["artifact"])]
        assert line.split()[:2] == [run["notebook"], "success"]


def assert_published(home: Path, runs: list[dict[str, Any]]) -> None:
    events = metadata(
        home, "SELECT a.name, e.extra FROM asset_event e JOIN asset a ON a.id = e.asset_id ORDER BY e.id"
    )
    told = [(name, json.loads(extra)["run_id"]) for name, extra in events]
    checks = [run["run_id"] for run in runs if run["notebook"] == "data_quality"]
    assert told == [("analytics_database/player", run_id) for run_id in checks]


def test_with_the_api_down_the_run_fails_at_the_health_check_and_touches_nothing(
    output: Path, tmp_path: Path
) -> None:
    story = Story(output)
    story.run(rows=[ADA, BO])
    story.close()
    before = settings.database().read_bytes()
    home, log = tmp_path / ".airflow", tmp_path / "airflow.log"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, but nobody listens
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        [ended] = make_run.run_dags(airflow_environment(home) | sample_environment(url), log, [RECURRING])
    assert ended["state"] == "failed"
    states = dict(metadata(home, "SELECT task_id, state FROM task_instance"))
    assert states == {
        "check_api": "failed",
        "choose_full_sweep": "upstream_failed",
        "update": "upstream_failed",
        "check": "upstream_failed",
        "report_run": "success",
    }
    told = log.read_text()
    assert f"health check: GET {url}/ (connection 'sportsworldcentral_url'): no complete answer" in told
    assert "check_api: failed" in told
    assert settings.database().read_bytes() == before
    assert not (output / "runs").exists()


def test_airflows_own_hook_reads_the_table(output: Path) -> None:
    story = Story(output)
    story.run(rows=[ADA, BO])
    story.close()
    script = (
        "from airflow.providers.sqlite.hooks.sqlite import SqliteHook\n"
        "print(SqliteHook('analytics_database').get_records('SELECT player_id, last_name FROM player'))"
    )
    environment = os.environ | {variable(DATABASE): default(DATABASE).to_json()}
    command = [sys.executable, "-c", script]
    read = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert read.stdout.splitlines()[-1] == "[(1, 'Łopez'), (2, 'Łopez')]"
