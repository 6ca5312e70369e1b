"""A kernel gets only what it needs, and nothing of it outlives its runner."""

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from jupyter_core.utils import run_sync
from waiting import family, left_of, until

from notebook_pipeline.connections import Connection
from notebook_pipeline.running.kernel import Kernel, environment

# A runner that starts a kernel, lets it do something, says who is who, and waits to be killed.
RUNNER = """
import asyncio, os, sys
from pathlib import Path
from jupyter_core.utils import run_sync
from notebook_pipeline.running.kernel import Kernel
with Kernel(environment=dict(os.environ), folder=Path.cwd()) as kernel:
    client = kernel.manager.client()
    client.start_channels()
    run_sync(client.wait_for_ready)(timeout=60)
    client.execute(sys.argv[1])
    sys.stdin.read()
"""
# A watch that is gone before the kernel's first step.
GONE = """
import os, time
from notebook_pipeline.running.kernel_supervisor import main
watch = os.getpid()
def wait():
    while os.getppid() == watch:
        time.sleep(0.01)
os.register_at_fork(after_in_parent=lambda: os._exit(0), after_in_child=wait)
main()
"""


def scratches(folder: Path) -> list[Path]:
    return list(folder.glob("nbp-*"))


def test_the_environment_holds_the_named_connections_and_nothing_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "AIRFLOW__API_AUTH__JWT_SECRET": "a",
        "AIRFLOW_CONN_OTHER": "b",
        "_AIRFLOW__SOMETHING": "c",
        "AIRFLOW_HOME": "d",
        "GITHUB_TOKEN": "e",
        "POSTGRES_PASSWORD": "f",
        "AWS_ACCESS_KEY_ID": "h",
        "AWS_PROFILE": "i",
        "PYTEST_CURRENT_TEST": "g",
        "MPLBACKEND": "Agg",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SOMETHING_PLAIN", "kept")
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2026-01-01")
    connection = Connection("api", "http", host="h", password="secret-1", extra={"a": 1})
    given = environment([connection], "run-1")
    assert {name for name in secrets if name in given} == {"MPLBACKEND"}
    assert [name for name in given if "AIRFLOW" in name] == ["AIRFLOW_CONN_API"]
    assert json.loads(given["AIRFLOW_CONN_API"])["password"] == "secret-1"
    assert given["SOMETHING_PLAIN"] == "kept"
    ours = {name: value for name, value in given.items() if name.startswith("NOTEBOOK_PIPELINE_")}
    assert ours == {
        "NOTEBOOK_PIPELINE_HOME": str(home),
        "NOTEBOOK_PIPELINE_OUTPUT": str(home / "output"),
        "NOTEBOOK_PIPELINE_RUN_ID": "run-1",
        "NOTEBOOK_PIPELINE_TODAY": "2026-01-01",
    }


def test_a_kernel_leaves_no_process_file_or_open_end_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    this = psutil.Process()
    before = set(this.children(recursive=True))
    with Kernel(environment=dict(os.environ), folder=tmp_path) as kernel:
        assert [path.stat().st_mode & 0o777 for path in scratches(tmp_path)] == [0o700]
        kernel.close()
    # What earlier tests have left is closed when it is collected.
    gc.collect()
    files, threads = this.num_fds(), threading.active_count()
    for _ in range(2):
        with Kernel(environment=dict(os.environ), folder=tmp_path):
            started = [one for one in this.children(recursive=True) if one not in before]
            assert started
        assert left_of(started) == []
    assert scratches(tmp_path) == []
    assert this.num_fds() <= files
    assert threading.active_count() <= threads


def test_a_temporary_folder_with_a_long_name_has_no_room_for_sockets_so_another_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with Kernel(environment=dict(os.environ), folder=tmp_path) as kernel:
        assert scratches(long) == []
        assert len(kernel.manager.ip) < 100


@pytest.mark.parametrize(
    "busy",
    [
        pytest.param("import time; time.sleep(600)", id="asleep"),
        # Keeps the interpreter's lock: no thread of the kernel would run to notice anything.
        pytest.param("import re; re.match('(a+)+b', 'a' * 60)", id="locked"),
        pytest.param("import subprocess; subprocess.run(['sleep', '600'])", id="with a child"),
    ],
)
def test_a_killed_runner_takes_its_kernel_along(tmp_path: Path, busy: str) -> None:
    started = tmp_path / "started"
    code = f"open({str(started)!r}, 'w').close(); {busy}"
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, code],
        stdin=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    until(started.exists)
    wanted = 4 if "subprocess" in busy else 3
    processes = until(lambda: found if len(found := family(runner.pid)) == wanted else [])
    assert len(scratches(tmp_path)) == 1
    runner.send_signal(signal.SIGKILL)
    runner.communicate()
    assert left_of(processes) == []
    until(lambda: scratches(tmp_path) == [], 5)


def test_a_kernel_whose_watch_is_killed_ends_too(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with adopting_orphans(), Kernel(environment=dict(os.environ), folder=tmp_path) as kernel:
        (watch,) = set(psutil.Process().children()) - before
        (child,) = until(watch.children)
        watch.kill()
        assert left_of([child], 30) == []
        os.waitpid(child.pid, 0)
        assert kernel.cause_of_death().startswith(
            "the kernel died: killed by SIGKILL, as the system does when memory runs out"
        )


def test_a_kernel_whose_watch_is_gone_before_it_begins_ends_too(tmp_path: Path) -> None:
    command = [sys.executable, "-c", GONE, str(tmp_path), "json", "-f", str(tmp_path / "k.json")]
    watch = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        # Both hold the other end, so that it ends with the last of them.
        assert watch.communicate(timeout=30) == (b"", None)
        assert watch.returncode == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(watch.pid, signal.SIGKILL)


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Let this process inherit what its children leave, as a desktop's session does, and not process 1."""
    set_child_subreaper = partial(ctypes.CDLL(None).prctl, 36)
    set_child_subreaper(1)
    try:
        yield
    finally:
        set_child_subreaper(0)


# Without care for the order in which a kernel's threads end, every other one hangs.
@pytest.mark.parametrize("_", range(5))
def test_a_kernel_that_is_asked_to_end_does_so_by_itself(tmp_path: Path, _: int) -> None:
    with Kernel(environment=dict(os.environ), folder=tmp_path) as kernel:
        client = kernel.manager.client()
        client.start_channels()
        run_sync(client.wait_for_ready)(timeout=60)
        run_sync(client.execute_interactive)("print('said')", timeout=60)
        client.stop_channels()
        process = kernel._process
        kernel.close()
    assert process is not None
    assert process.returncode == 0, "it had to be killed, after five seconds"
