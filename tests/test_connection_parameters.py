"""Which connections a run is given."""

from pathlib import Path

import pytest

from notebook_pipeline.running.connection_parameters import connection_of, named_connections


@pytest.mark.usefixtures("home")
def test_an_empty_parameter_names_the_declared_connection() -> None:
    parameters = {"dataset": "player", "api_conn_id": "", "file_conn_id": "mine", "database_conn_id": ""}
    assert named_connections(parameters) == {"sportsworldcentral_url": "api_conn_id", "mine": "file_conn_id"}
    assert connection_of("api_conn_id", parameters) == "sportsworldcentral_url"


@pytest.mark.parametrize("dataset", ["unknown", "broken", 5, None])
def test_without_a_declaration_an_empty_parameter_names_none(home: Path, dataset: object) -> None:
    (home / "datasets" / "broken.py").write_text("1 / 0")
    assert named_connections({"dataset": dataset, "api_conn_id": "", "other_conn_id": "b"}) == {
        "b": "other_conn_id"
    }
    assert named_connections({"api_conn_id": ""}) == {}
