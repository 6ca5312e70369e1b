"""The three notebooks on either database: the same rows, counts and checks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import databases
import loads

from notebook_pipeline import settings
from notebook_pipeline.connections import API, DATABASE, FILES, PREFIX, Connection, variable
from sample import api_server

COMMAND = str(Path(sys.executable).with_name("notebook-pipeline"))
COUNTS = "notebook, dataset, status, rows_read, rows_inserted, rows_updated, rows_unchanged, rows_stale"
CHECKS = "check_name, severity, passed, measured, expected, sample"


def three_notebooks(folder: Path, url: str) -> dict[str, list[tuple]]:
    """Run the notebooks on the database in a folder and return what they made of it."""
    found = (
        databases.connection(folder),
        Connection(API, "http", host=url),
        Connection(FILES, "fs", extra={"path": str(settings.data())}),
    )
    assert found[0].conn_id == DATABASE
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {variable(connection.conn_id): connection.to_json() for connection in found}
    environment["NOTEBOOK_PIPELINE_OUTPUT"] = str(folder)
    for notebook in ("bulk_load", "api_incremental_update", "data_quality"):
        ran = subprocess.run(
            [COMMAND, "run", notebook, "--json"], env=environment, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr + ran.stdout
        assert json.loads(ran.stdout)["status"] == "success"
    with loads.open_database(folder) as database:
        return {
            "player": database.execute(
                'SELECT player_id, gsis_id, first_name, last_name, "position", last_changed_date, _source '
                "FROM player ORDER BY player_id"
            ),
            "runs": database.execute(f"SELECT {COUNTS} FROM pipeline_run ORDER BY run_id"),
            "watermark": database.execute("SELECT dataset, source, value FROM watermark ORDER BY source"),
            "checks": database.execute(f"SELECT {CHECKS} FROM quality_result ORDER BY check_name, measured"),
        }


def test_the_notebooks_make_the_same_of_either_database(tmp_path: Path) -> None:
    results = []
    with api_server.running() as url:
        for kind in databases.KINDS:
            folder = tmp_path / kind
            folder.mkdir()
            databases.settle(folder, kind)
            results.append(three_notebooks(folder, url))
            databases.drop(folder)
    assert results[0] == results[1]
    assert len(results[0]["player"]) > 20_000
    assert len(results[0]["checks"]) > 5
