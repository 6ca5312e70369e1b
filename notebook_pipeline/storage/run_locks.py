"""The lock file of a run, which the operating system unlocks when the process ends, however it ends."""

import fcntl
import os
from pathlib import Path

from notebook_pipeline.errors import PipelineError


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
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _locked(path: Path) -> int | None:
    """Open and lock a file; return None if it or its folder was removed meanwhile: nobody sees the lock."""
    try:
        file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except FileNotFoundError:
        if path.parent.exists():
            raise
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file), path.stat()):
            return file
    except FileNotFoundError:
        pass
    except OSError:
        os.close(file)
        raise
    os.close(file)
    return None
