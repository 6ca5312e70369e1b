"""One lock for files and folders: exclusive or shared, waited for or refused."""

import os
import stat
from pathlib import Path
from threading import Thread

import pytest

from notebook_pipeline.storage.file_lock import open_locked


def test_a_lock_excludes_all_others_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    first = open_locked(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for shared in (False, True):
        with pytest.raises(BlockingIOError):
            open_locked(path, shared=shared)
    os.close(first)
    os.close(open_locked(path))


def test_shared_locks_of_a_folder_exclude_only_an_exclusive_one(tmp_path: Path) -> None:
    shared = [open_locked(tmp_path, os.O_RDONLY, shared=True) for _ in range(2)]
    with pytest.raises(BlockingIOError):
        open_locked(tmp_path, os.O_RDONLY)
    for file in shared:
        os.close(file)


def test_a_lock_that_is_waited_for_is_taken_when_it_is_free(tmp_path: Path) -> None:
    path, taken = tmp_path / "a.lock", []
    first = open_locked(path)
    waiting = Thread(target=lambda: taken.append(open_locked(path, wait=True)))
    waiting.start()
    assert taken == []
    os.close(first)
    waiting.join(60)
    os.close(taken[0])


def test_a_refused_lock_leaves_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    first = open_locked(path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BlockingIOError):
        open_locked(path)
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(first)
