"""The folder of a running kernel's files, for its owner only, and the removal of abandoned ones."""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from notebook_pipeline.storage.file_lock import open_locked

_PREFIX = "nbp-"
# A socket's path may have about 100 characters, and the longest name in the folder takes 12.
_LONGEST = 80
# A folder that is created but not locked yet looks abandoned.
_YOUNG_SECONDS = 60


class Scratch:
    """A temporary folder, locked for as long as this process lives."""

    def __init__(self) -> None:
        root = tempfile.gettempdir()
        root = root if len(root) < _LONGEST else "/tmp"  # noqa: S108
        _sweep(Path(root))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        self._lock = open_locked(self.path, os.O_RDONLY, wait=True)

    def remove(self) -> None:
        """Remove the folder and its content."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _sweep(root: Path) -> None:
    """Remove the folders of processes that were killed together with their supervisors."""
    for folder in root.glob(f"{_PREFIX}*"):
        # It may belong to another user, or have just been removed.
        with suppress(OSError):
            _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    handle = open_locked(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(handle)
        if status.st_uid == os.getuid() and time.time() - status.st_mtime > _YOUNG_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)
