"""What is asked of a run is refused before a kernel starts, or known in full."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.plan import Limits, Plan, make_plan
from notebook_pipeline.running.run_identity import Identity

DECLARED = tiny.parameters(
    'api_conn_id: str = "api"\ndatabase_conn_id: str = "db"\nrows: int = 1\nname: str = ""'
)
API = Connection("api", "http", host="h", password="hunter2-horse")
DB = Connection("db", "sqlite", host="/nowhere/x.db")


@pytest.fixture
def notebook(home: Path) -> Path:
    return tiny.write(home / "notebooks" / "n.ipynb", DECLARED)


def plan(notebook: Path, identity: Identity | None = None, connections: Any = None, **given: Any) -> Plan:
    handed = {"api": API, "db": DB, "other": API} if connections is None else connections
    return make_plan(notebook, given, identity or Identity(), handed, Limits(None, 60))


def test_a_run_by_hand_lends_its_names(notebook: Path) -> None:
    made = plan(notebook, rows=2)
    assert made.row == {
        "run_id": made.run_id,
        "dag_id": "manual",
        "dag_run_id": made.run_id,
        "task_id": "n",
        "map_index": -1,
        "try_number": 1,
        "notebook": "n",
        "notebook_sha256": hashlib.sha256(notebook.read_bytes()).hexdigest(),
        "parameters": {"api_conn_id": "api", "database_conn_id": "db", "rows": 2, "name": ""},
    }
    assert made.given == {"rows": 2}


def test_a_task_keeps_its_own_names(notebook: Path) -> None:
    identity = Identity("dag", "run", "task", 3, 2)
    assert plan(notebook, identity).identity == identity


def test_only_the_named_connections_are_handed_on(notebook: Path) -> None:
    made = plan(notebook)
    assert made.connections == {"api": API, "db": DB}
    assert made.database == DB
    assert list(plan(notebook, api_conn_id="").connections) == ["db"]


def test_connections_that_are_not_handed_in_are_resolved(
    notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_API", API.to_json())
    monkeypatch.setenv("AIRFLOW_CONN_DB", DB.to_json())
    made = make_plan(notebook, {}, Identity(), None, Limits(None, 60))
    assert made.connections == {"api": API, "db": DB}


def test_the_default_database_is_used_where_a_notebook_names_none(home: Path) -> None:
    made = plan(tiny.write(home / "notebooks" / "m.ipynb", "1"))
    assert made.connections == {}
    assert made.database.host == str(home / "output" / "analytics_database.db")


LOADS = tiny.parameters(
    'dataset: str = "player"\nsource: str = "p.csv"\nfile_conn_id: str = "files"\n'
    'database_conn_id: str = "db"'
)


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("p.csv", "no file 'p.csv' in "),
        ("in/*.parquet", "no file 'in/*.parquet' in "),
        ("in", None),
        ("in/a.csv", None),
        ("in/a.csv\nin/b.csv", "no file 'in/b.csv' in "),
        ("rejected:240921-00000000000001", None),
        ("https://files.example/p.csv", None),
    ],
)
def test_a_local_file_that_is_missing_is_refused_before_a_kernel_starts(
    home: Path, source: str, refused: str | None
) -> None:
    (home / "datasets").mkdir(exist_ok=True)
    shutil.copy(settings.CHECKOUT / "datasets" / "player.py", home / "datasets")
    (home / "files" / "in").mkdir(parents=True)
    (home / "files" / "in" / "a.csv").touch()
    notebook = tiny.write(home / "notebooks" / "load.ipynb", LOADS)
    connections = {"files": Connection("files", "fs", extra={"path": str(home / "files")}), "db": DB}
    if refused is None:
        assert plan(notebook, None, connections, source=source).parameters["source"] == source
        return
    with pytest.raises(UsageError) as error:
        plan(notebook, None, connections, source=source)
    assert str(error.value).startswith(refused)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"nope": 1}, "unknown parameter nope"),
        ({"rows": "1"}, "expected int"),
        ({"api_conn_id": "missing"}, "api_conn_id: connection 'missing' was not passed to this run"),
        ({"name": "x hunter2-horse y"}, "parameter name holds a secret of a connection"),
        ({"name": "aHVudGVyMi1ob3JzZQ=="}, "parameter name holds a secret of a connection"),
    ],
)
def test_what_does_not_fit_is_refused_without_showing_a_secret(notebook: Path, given: Any, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        plan(notebook, **given)
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)
