"""What `make airflow` decides before it starts anything."""

import json
import socket
from contextlib import ExitStack
from pathlib import Path

import requests
from waiting import own_port

from sample.make_airflow import free_port, login, start_sample


def test_a_port_in_use_is_left_alone() -> None:
    port = own_port()
    with socket.create_server(("127.0.0.1", port)):
        assert free_port(port) != port
    assert free_port(port) == port


def test_the_password_is_shown_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    shown = login(tmp_path)
    kept = tmp_path / "passwords.json"
    password = json.loads(kept.read_text())["admin"]
    assert len(password) >= 16
    assert password in shown
    assert kept.stat().st_mode & 0o777 == 0o600
    assert password not in login(tmp_path)
    assert json.loads(kept.read_text())["admin"] == password


def test_the_sample_is_served_where_the_connection_points() -> None:
    with ExitStack() as stack:
        url = f"http://127.0.0.1:{own_port()}"
        assert start_sample(stack, url) == [f"Sample API: {url}"]
        assert requests.get(url, timeout=60).json() == {"message": "API health check successful"}
        assert start_sample(stack, url) == [
            f"Sample API: not started, because the port of {url} is already in use"
        ]


def test_the_sample_is_not_served_for_an_api_elsewhere() -> None:
    with ExitStack() as stack:
        assert start_sample(stack, "https://api.example/") == []
        assert start_sample(stack, None) == []
