"""Connections as a task sees them."""

import pytest

from notebook_pipeline.airflow.connection_lookup import resolve_connection
from notebook_pipeline.connections import API, Connection, default
from notebook_pipeline.errors import UsageError


def test_a_connection_is_taken_from_airflow_with_all_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "https://me:p%40ss@api.example:8443/?timeout=5&token=abc"
    monkeypatch.setenv("AIRFLOW_CONN_SPORTSWORLDCENTRAL_URL", uri)
    assert resolve_connection(API) == Connection(
        API,
        "https",
        host="api.example",
        login="me",
        password="p@ss",
        port=8443,
        extra={"timeout": "5", "token": "abc"},
    )


def test_what_airflow_does_not_know_is_what_works_in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_SPORTSWORLDCENTRAL_URL", raising=False)
    assert resolve_connection(API) == default(API)


def test_what_nobody_knows_is_named() -> None:
    with pytest.raises(UsageError, match="no connection 'not_there': set AIRFLOW_CONN_NOT_THERE"):
        resolve_connection("not_there")
