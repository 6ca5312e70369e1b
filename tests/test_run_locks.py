"""A run's lock: one holder, seen by others, gone with its process."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage.run_locks import RunLock, is_held

HOLD = """
import subprocess, sys, time
from pathlib import Path
from notebook_pipeline.storage.run_locks import RunLock
lock = RunLock(Path(sys.argv[1]))
print(subprocess.Popen(["sleep", "600"], close_fds=False).pid, flush=True)
time.sleep(600)
"""


def test_a_lock_is_held_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a.lock"
    assert not is_held(path)
    lock = RunLock(path)
    assert is_held(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(PipelineError, match=r"a\.lock: another process is working on this run"):
        RunLock(path)
    assert is_held(path)
    lock.release()
    assert not path.exists()
    assert not is_held(path)


def test_releasing_twice_leaves_the_next_holder_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    first = RunLock(path)
    first.release()
    second = RunLock(path)
    first.release()
    assert is_held(path)
    second.release()


def test_a_lock_goes_with_its_process_and_not_with_what_that_has_started(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        started = int(holder.stdout.readline())
        assert is_held(path)
        with pytest.raises(PipelineError, match="another process"):
            RunLock(path)
        holder.send_signal(signal.SIGKILL)
    assert path.exists()
    assert not is_held(path)
    RunLock(path).release()
    assert not path.exists()
    os.kill(started, signal.SIGKILL)


def test_a_file_that_was_removed_before_it_was_locked_is_not_taken_for_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever settles a run removes its file between another's opening and locking it."""
    path = tmp_path / "a.lock"
    path.touch()
    opened = os.open

    def open_late(*given, **named) -> int:
        file = opened(*given, **named)
        monkeypatch.setattr(os, "open", opened)
        path.unlink()
        return file

    monkeypatch.setattr(os, "open", open_late)
    lock = RunLock(path)
    assert path.exists()
    assert is_held(path)
    lock.release()


def test_a_folder_that_is_swept_before_the_lock_is_in_it_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run" / "a.lock"
    opened = os.open

    def sweep_first(*given, **named) -> int:
        monkeypatch.setattr(os, "open", opened)
        path.parent.rmdir()
        return opened(*given, **named)

    monkeypatch.setattr(os, "open", sweep_first)
    lock = RunLock(path)
    assert is_held(path)
    lock.release()


def test_a_lock_that_leads_nowhere_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.lock").symlink_to("nowhere/b")
    with pytest.raises(PipelineError, match=r"a\.lock: the lock of this run cannot be taken: No such file"):
        RunLock(tmp_path / "a.lock")


def test_a_lock_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PipelineError, match=r"a\.lock: the lock of this run cannot be taken: "):
        RunLock(tmp_path / "file" / "a.lock")
    assert is_held(tmp_path / "file" / "a.lock")  # in doubt, somebody is at work
