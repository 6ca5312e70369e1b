"""Which `load` task loads which files."""

from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from notebook_pipeline.airflow import bulk_plan
from notebook_pipeline.airflow.bulk_plan import bulk_sources, plan_bulk_load
from notebook_pipeline.connections import Connection
from notebook_pipeline.declare import Files


def test_files_are_shared_out_among_the_task_slots(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).touch()
    files = Connection("files", "fs", extra={"path": str(tmp_path)})
    assert bulk_sources("*.csv", files, Files(), 2) == ["a.csv", "b.csv\nc.csv"]
    assert bulk_sources("*.csv", files, Files(), 1) == ["*.csv"]
    assert bulk_sources("*.csv", files, Files(snapshot=True), 8) == ["*.csv"]
    assert bulk_sources("rejected:240921-00000000000001", files, Files(), 8) == [
        "rejected:240921-00000000000001"
    ]


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
    params = {"dataset": "player", "source": "*.csv", "file_conn_id": "files", "database_conn_id": "database"}
    monkeypatch.setattr(bulk_plan, "task_context", lambda: {"params": params})
    monkeypatch.setattr(bulk_plan, "resolve_connection", found.__getitem__)
    assert plan_bulk_load.function() == [{"source": source} for source in expected]
    assert f"load 0 of {len(expected)}: {expected[0]}\n" in capsys.readouterr().out
    params["source"] = "https://files.example/p.csv?of=hidden"
    assert plan_bulk_load.function() == [{"source": params["source"]}]
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
    monkeypatch.setattr(bulk_plan, "task_context", lambda: {"params": {"source": source}})
    with pytest.raises(AirflowFailException, match=f"source holds an address with {what}") as refused:
        plan_bulk_load.function()
    assert "hidden" not in str(refused.value)


def test_what_cannot_be_listed_is_left_to_one_notebook_to_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = Connection("files", "fs", extra={"path": str(tmp_path)})
    assert bulk_sources("nothing/*.csv", files, Files(), 8) == ["nothing/*.csv"]
    assert "One task loads the whole source: no file 'nothing/*.csv'" in capsys.readouterr().out
