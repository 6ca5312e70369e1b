"""Hold a run's lock: the operating system gives it up with the process, however that ends."""

import fcntl
import os
from pathlib import Path

from notebook_pipeline.errors import PipelineError


class RunLock:
    """Hold the lock file at a path for as long as this process works on a run.

    Raises PipelineError where another process holds it, or where the file cannot be made.
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
        """Remove the file and give the lock up, in this order; to do so twice does nothing."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


def is_held(path: Path) -> bool:
    """Say whether some process holds the lock at a path; where that cannot be seen, one does."""
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
    """Open and lock a file; None where it, or its folder, was removed meanwhile, so that nobody sees it."""
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
