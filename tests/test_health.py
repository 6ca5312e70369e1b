"""The health check against real sockets."""

import json
import socket
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from notebook_pipeline.airflow import HealthCheckOperator
from notebook_pipeline.demo import server

VARIABLE = "AIRFLOW_CONN_AN_API"


def check() -> str:
    operator = HealthCheckOperator(task_id="check_api", http_conn_id="an_api")
    execute: Any = HealthCheckOperator.execute
    return execute.__wrapped__(operator, {})


def test_a_service_that_is_up_passes_with_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with server.running() as url:
        monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "http", "host": url}))
        assert json.loads(check()) == {"message": "API health check successful"}


def test_a_service_that_is_down_is_named_with_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "http", "host": "127.0.0.1", "port": port}))
        with pytest.raises(AirflowException) as raised:
            check()
    assert f"http://127.0.0.1:{port}/ did not answer, through connection 'an_api'" in str(raised.value)
    assert "Start the service" in str(raised.value)


def test_an_error_of_the_service_is_a_failure_and_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with server.running() as url:
        host = url.replace("http://", "http://me:hunter22@") + "/not-there"
        monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "http", "host": host}))
        with pytest.raises(AirflowException) as raised:
            check()
    assert f"{url}/not-there/ did not answer" in str(raised.value)
    assert "404" in str(raised.value)
    assert "hunter22" not in str(raised.value)


def test_an_address_that_cannot_be_read_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "http", "host": "http://me:hunter/22-horse@host"}))
    with pytest.raises(AirflowException) as raised:
        check()
    assert "22-horse" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_connection_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(AirflowException, match=r"connection 'an_api' is not defined.*AIRFLOW_CONN_AN_API"):
        check()
