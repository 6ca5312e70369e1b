"""Whatever ends a task of Airflow's LocalExecutor is told, leaves nothing, and a retry makes it good."""

import json
import random
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import leaks
import loads
import psutil
import pytest
import ways
from live_airflow import OPEN, LiveAirflow, live_airflow
from seeds import fresh
from waiting import family, left_of, until
from ways import DAG, RUN, WAYS, Way

from notebook_pipeline.connections import Connection, variable
from notebook_pipeline.storage.connect import connect

pytestmark = pytest.mark.timeout(600)

SAME = ("run_id", "dag_id", "dag_run_id", "task_id", "map_index", "try_number", "notebook", "notebook_sha256")
SAME += ("status", "error")


@pytest.mark.soak
def test_whatever_ends_a_task_is_told_and_made_good_and_no_secret_is(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    variables = ways.connections(tmp_path, WAYS) | {
        variable("in_environment"): json.dumps(leaks.connection(leaks.IN_ENVIRONMENT))
    }
    dags = {DAG: ways.write(tmp_path, WAYS), leaks.DAG: leaks.write(tmp_path)}
    with live_airflow(tmp_path, dags, variables) as airflow:
        airflow.tell("post", "connections", connection_id="stored", **leaks.connection(leaks.STORED))
        for dag in dags:
            until(lambda dag=dag: airflow.knows(dag), 120)
            airflow.tell("post", f"dags/{dag}/dagRuns", dag_run_id=ways.RUN_ID, logical_date=None)
        with ThreadPoolExecutor(len(WAYS)) as pool:
            ended = {name: pool.submit(end, airflow, name, way) for name, way in WAYS.items() if way.waits}
            left = {name: future.result() for name, future in ended.items()}
        until(lambda: airflow.is_done(RUN) and airflow.is_done(leaks.RUN), 240, 0.2)
        for name, way in WAYS.items():
            with subtests.test(name):
                assert tell(airflow, name, left.get(name, [])) == expected(name, way)
        with subtests.test("wrong_parameter"):
            assert airflow.tries(RUN, "wrong_parameter") == [(1, "failed")]
            assert "unknown parameter wya" in airflow.log(RUN, "wrong_parameter", 1)
        with subtests.test("nothing is left"):
            assert airflow.kernels() == []
            assert airflow.rests() == []
        with subtests.test("no secret is told"):
            assert leaks.found(tmp_path) == []
            assert_leaks(airflow)
    assert leaks.found(tmp_path) == []


@pytest.mark.soak
@pytest.mark.parametrize("seed", fresh(1))
def test_whatever_is_killed_the_scheduler_too_is_made_good(
    tmp_path: Path, subtests: pytest.Subtests, seed: int
) -> None:
    hit = {f"any_{number}": ways.AT_ANY_MOMENT for number in range(12)}
    tasks = {"at_work": ways.AT_WORK, "ends_meanwhile": ways.ENDS_MEANWHILE, **hit}
    dags = {DAG: ways.write(tmp_path, tasks)}
    with live_airflow(tmp_path, dags, ways.connections(tmp_path, tasks)) as airflow:
        until(lambda: airflow.knows(DAG), 120)
        airflow.tell("post", f"dags/{DAG}/dagRuns", dag_run_id=ways.RUN_ID, logical_date=None)
        with ThreadPoolExecutor(len(hit)) as pool:
            list(pool.map(lambda name: hit_at_any_moment(airflow, name, seed), hit))
        until(lambda: OPEN.isdisjoint(airflow.tasks(RUN)[name]["state"] for name in hit), 240, 0.2)
        for name in hit:
            with subtests.test(name):
                told = tell(airflow, name, [])
                assert [key for key, _ in told["players"]] == [1, 2]
                assert told["tries"] in ([(1, "success")], ways.RETRIED)
                assert told["runs"][-1][1] == "success"
        outlive_scheduler(airflow)
        for name in ("at_work", "ends_meanwhile"):
            with subtests.test(name):
                assert tell(airflow, name, []) == expected(name, tasks[name])
        assert airflow.kernels() == []


def hit_at_any_moment(airflow: LiveAirflow, task: str, seed: int) -> None:
    """Kill a process of a task's first try at a random moment, if it has not ended before."""
    moments = random.Random(f"{seed} {task}")  # noqa: S311
    pid = until(lambda: airflow.tasks(RUN)[task]["pid"], 240, 0.2)
    with suppress(psutil.NoSuchProcess):
        psutil.wait_procs([psutil.Process(pid)], moments.uniform(0, 5))
        moments.choice(family(pid)).kill()


def outlive_scheduler(airflow: LiveAirflow) -> None:
    """Kill the scheduler while two tasks are at work; let one end before there is another, and one not."""
    for task in ("at_work", "ends_meanwhile"):
        until((airflow.home / "marks" / task).exists, 120)
    at_work = family(airflow.tasks(RUN)["at_work"]["pid"])
    airflow.kill_scheduler()
    (airflow.home / "marks" / "go").touch()
    until(lambda: airflow.tasks(RUN)["ends_meanwhile"]["state"] == "success")
    assert all(process.is_running() for process in at_work)
    airflow.start("scheduler", "--skip-serve-logs")
    assert left_of(at_work, 120) == []
    until(lambda: airflow.is_done(RUN), 240, 0.2)


def assert_leaks(airflow: LiveAirflow) -> None:
    """Assert that the notebook did try to tell, of either connection, all that it was made to tell."""
    rows = ledger_of(airflow.home / "output" / "analytics_database.db")
    told = {row["task_id"]: (row["try_number"], row["error"]) for row in rows}
    vaults = ("stored", "in_environment")
    assert told == {f"{vault}_{way}": (1, error) for vault in vaults for way, error in leaks.ERRORS.items()}
    for row in rows:
        lines = leaks.printed(airflow.home / "output" / row["artifact"])
        vault = row["task_id"].rpartition("_")[0].upper()
        assert lines[0] == f"names: ['AIRFLOW_CONN_{vault}']"
        # Nine forms of two secrets, on both streams and then three times in two pieces.
        assert len([line for line in lines if line.endswith(": ***.")]) == 9 * 2 * 5
    for vault in vaults:
        assert airflow.tries(leaks.RUN, f"{vault}_rendered") == [(1, "failed")]
        said = airflow.log(leaks.RUN, f"{vault}_rendered", 1)
        assert "parameter way holds a secret of a connection" in said


def end(airflow: LiveAirflow, task: str, way: Way) -> list[str]:
    """End a task's first try while its cell waits; return what is left of its processes after a while."""
    until((airflow.home / "marks" / task).exists, 120)
    processes = family(airflow.tasks(RUN)[task]["pid"])
    assert len(processes) == 3
    if way.act:
        way.act(airflow, task)
    left = left_of(processes, way.seconds)
    if way.then:
        way.then(airflow, task)
    return [str(process) for process in left]


def tell(airflow: LiveAirflow, task: str, left: list[str]) -> dict[str, Any]:
    """Return what Airflow, ledger, artefacts and the table tell of a task."""
    path = ways.database(airflow.home, task)
    rows = ledger_of(path)
    with connect(Connection(task, "sqlite", host=str(path))) as database:
        players = loads.players(database)
    tries = {row["run_id"]: row["try_number"] for row in rows}
    return {
        "tries": airflow.tries(RUN, task),
        "runs": [tell_run(airflow.home / "output" / row["artifact"], row) for row in rows],
        "left": left,
        "players": [(key, tries[run_id]) for key, _, _, run_id, _ in players],
    }


def ledger_of(path: Path) -> list[dict[str, Any]]:
    """Return every run that a database knows."""
    with connect(Connection("ledger", "sqlite", host=str(path))) as database:
        return database.query("SELECT * FROM pipeline_run ORDER BY run_id").to_pylist()


def tell_run(artefact: Path, row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what is told of a run, having held the artefact to the ledger."""
    notebook = json.loads(artefact.read_bytes())
    about = notebook["metadata"]["notebook_pipeline"]
    assert {name: about.get(name) for name in SAME} == {name: row[name] for name in SAME}
    error = row["error"] and re.sub(r"PID: \d+", "PID: …", row["error"])
    banner = "".join(notebook["cells"][0]["source"])
    if error:
        assert row["error"] in banner
    cells = [cell for cell in notebook["cells"] if "papermill" in cell["metadata"]]
    return (
        artefact.name,
        row["status"],
        error,
        "in the cell “Do as told”" in banner,
        [cell["metadata"]["papermill"]["status"] for cell in cells],
        notebook["metadata"]["papermill"]["exception"],
    )


def expected(task: str, way: Way) -> dict[str, Any]:
    """Return what is to be told of a task."""
    if not way.error:
        only = (f"{task}__try1.ipynb", "success", None, False, ["completed"] * 7, None)
        return {"tries": [(1, "success")], "runs": [only], "left": [], "players": [(1, 1), (2, 1)]}
    cells = [*["completed"] * 4, "failed", "not run", "not run"]
    runs: list[tuple[Any, ...]] = [
        (f"{task}__try1.ipynb", "failed", way.error.format(task), True, cells, True)
    ]
    players = [(1, 1)]
    if way.tries == ways.RETRIED:
        runs.append((f"{task}__try2.ipynb", "success", None, False, ["completed"] * 7, None))
        players.append((2, 2))
    return {"tries": way.tries, "runs": runs, "left": [], "players": players}
