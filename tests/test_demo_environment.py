"""What the demonstration's Airflow is told, and that it touches nothing else."""

from pathlib import Path

import pytest

from notebook_pipeline.connections import API, DATABASE, variable
from notebook_pipeline.errors import UsageError
from sample import demo_environment, make_run
from sample.demo_environment import airflow_environment, alone


def test_nothing_of_another_airflow_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW_CONFIG", variable(DATABASE)):
        monkeypatch.setenv(name, "postgresql://production")
    environment = airflow_environment(tmp_path / "home")
    assert "postgresql://production" not in environment.values()
    assert environment["AIRFLOW_HOME"] == str(tmp_path / "home")


def test_its_secrets_are_made_once_and_are_its_owners_alone(tmp_path: Path) -> None:
    configuration = tmp_path / "home" / "airflow.cfg"
    airflow_environment(tmp_path / "home")
    made = configuration.read_text()
    airflow_environment(tmp_path / "home")
    assert configuration.read_text() == made
    assert configuration.stat().st_mode & 0o777 == 0o600
    assert configuration.parent.stat().st_mode & 0o777 == 0o700
    airflow_environment(tmp_path / "another")
    assert (tmp_path / "another" / "airflow.cfg").read_text() != made


def test_two_commands_do_not_share_an_airflow(tmp_path: Path) -> None:
    with (
        alone(tmp_path),
        pytest.raises(UsageError, match="is in use by `make airflow` or another `make run`"),
        alone(tmp_path),
    ):
        pass
    with alone(tmp_path):
        pass


@pytest.mark.parametrize("conn_id", [DATABASE, API])
def test_make_run_refuses_any_connection_that_is_set_and_says_which(
    conn_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_run, "AIRFLOW_HOME", tmp_path)
    monkeypatch.setattr(demo_environment, "AIRFLOW_HOME", tmp_path)
    monkeypatch.setattr(make_run, "end_on_signals", lambda: None)
    monkeypatch.setenv(variable(conn_id), "")
    assert make_run.main() == 2
    said = capsys.readouterr().err
    assert (
        f"{variable(conn_id)} is set, and this command works on the demonstration's own database only" in said
    )
    assert list(tmp_path.iterdir()) == []
