"""Locks on files and folders, which the operating system releases when the process ends, however it ends."""

import fcntl
import os
from pathlib import Path


def open_locked(
    path: Path, flags: int = os.O_CREAT | os.O_RDWR, *, shared: bool = False, wait: bool = False
) -> int:
    """Open a file or folder, lock it and return its descriptor; closing that releases the lock.

    If another process holds the lock, wait for it, or raise BlockingIOError unless `wait`.
    """
    file = os.open(path, flags, 0o600)
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(file)
        raise
    return file
