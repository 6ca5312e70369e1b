"""The health check against real sockets."""

import json
import socket
from typing import Any

import failing_server as fs
import pytest
from airflow.sdk.exceptions import AirflowException

from notebook_pipeline.airflow import HealthCheckOperator
from sample import api_server

SECRET = "s3cret-Passw0rd-of-the-api"
VARIABLE = "AIRFLOW_CONN_AN_API"


def check() -> None:
    operator = HealthCheckOperator(task_id="check_api", http_conn_id="an_api")
    execute: Any = HealthCheckOperator.execute
    execute.__wrapped__(operator, {})


def test_a_service_that_is_up_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server.running() as url:
        monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "http", "host": url}))
        check()


def test_the_credentials_of_a_connection_stay_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def echo(handler: fs.Handler, _: bytes) -> None:
        handler.send(str(handler.headers).encode(), 500)

    caplog.set_level("DEBUG")
    with fs.serving(fs.Source([])) as service, fs.serving(fs.Source([])) as other:
        connection = {"conn_type": "http", "host": service.url, "extra": {"X-API-Key": SECRET}}
        monkeypatch.setenv(VARIABLE, json.dumps(connection))
        service.everywhere = fs.redirect(f"{other.url}/health")
        check()
        assert service.requests[0].headers["x-api-key"] == SECRET
        assert service.requests[0].headers["user-agent"].startswith("notebook-pipeline/")
        assert "x-api-key" not in other.requests[0].headers
        service.everywhere = echo
        with pytest.raises(AirflowException, match="500") as raised:
            check()
    assert SECRET not in f"{raised.value}{caplog.text}"


def test_a_service_that_is_down_is_named_with_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "http", "host": "127.0.0.1", "port": port}))
        with pytest.raises(AirflowException) as raised:
            check()
    said = f"health check: GET http://127.0.0.1:{port}/ (connection 'an_api'): no complete answer (Connection"
    assert str(raised.value).startswith(said)
    assert "Check the connection under Admin > Connections" in str(raised.value)


def test_an_error_of_the_service_is_a_failure_and_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server.running() as url:
        host = url.replace("http://", "http://me:hunter22@") + "/not-there"
        monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "http", "host": host}))
        with pytest.raises(AirflowException) as raised:
            check()
    assert f"GET {url}/not-there/ (connection 'an_api'): 404" in str(raised.value)
    assert "hunter22" not in str(raised.value)


def test_an_address_that_cannot_be_read_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "http", "host": "http://me:hunter/22-horse@host"}))
    with pytest.raises(AirflowException) as raised:
        check()
    assert "22-horse" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_connection_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(AirflowException, match=r"no connection 'an_api': set AIRFLOW_CONN_AN_API"):
        check()
