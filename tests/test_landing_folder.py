"""Tries of a task, and runs by hand with the same parameters, land in one folder, one at a time."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from notebook_pipeline.steps import landing_folder as module
from notebook_pipeline.steps import session
from notebook_pipeline.steps.landing_folder import landing_folder


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AIRFLOW_CONN_ANALYTICS_DATABASE", raising=False)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setattr(module, "_locked", {})
    yield
    session._leave()


def folder_of(since: str) -> Path:
    run = session.join_run("api_incremental_update", {"since": since})
    folder = landing_folder(run)
    run.fail("only looked")
    return folder


def test_runs_by_hand_share_a_folder_if_their_parameters_are_the_same() -> None:
    assert folder_of("") == folder_of("") != folder_of("2024-09-01")


def test_a_folder_that_another_process_uses_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = folder_of("")
    for file in module._locked.values():
        os.close(file)
    monkeypatch.setattr(module, "_locked", {})
    other = os.open(shared, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    own = folder_of("")
    assert own != shared
    os.close(other)
    assert folder_of("") == shared
