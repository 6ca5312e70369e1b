"""The lock file of a run, which the operating system unlocks when the process ends, however it ends."""

import os
from contextlib import suppress
from pathlib import Path

from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage.file_lock import open_locked


class RunLock:
    """The lock file at a path, locked until it is released or the process ends.

    Raises PipelineError if another process holds the lock, or if the file cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        try:
            while self._file is None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._file = _locked(path)
        except BlockingIOError:
            raise PipelineError(f"{path}: another process is working on this run") from None
        except OSError as error:
            raise PipelineError(f"{path}: the lock of this run cannot be taken: {error.strerror}") from error

    def release(self) -> None:
        """Remove the file, then release the lock; releasing it twice does nothing."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


def is_held(path: Path) -> bool:
    """Return True if a process holds the lock at a path, or if that cannot be determined."""
    try:
        os.close(open_locked(path, os.O_RDONLY, shared=True))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _locked(path: Path) -> int | None:
    """Open and lock a file; return None if it or its folder was removed meanwhile: nobody sees the lock."""
    try:
        file = open_locked(path)
    except FileNotFoundError:
        if path.parent.exists():
            raise
        return None
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(file), path.stat()):
            return file
    os.close(file)
    return None
