"""Output in a local folder that only its owner can read."""

import os
import shutil
import tempfile
import threading
from contextlib import suppress
from filecmp import cmp
from pathlib import Path, PurePosixPath

from notebook_pipeline.errors import PipelineError


class Folder:
    """An output whose texts are files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def address(self, key: str = "") -> str:
        """Return the path of a key."""
        return str(self._root / key)

    def contains(self, key: str) -> bool:
        """Return True if a key names a file below this folder and no link leads out of it."""
        parts = PurePosixPath(key).parts
        if not parts or "\0" in key or parts[0] == "/" or ".." in parts:
            return False
        above = self._root.joinpath(*parts[:1] if len(parts) > 1 else ())
        return Path(os.path.realpath(self._root / key)).is_relative_to(above.resolve())

    def prepare(self, key: str) -> None:
        """Create the folders above a key, readable only by their owner."""
        for part in reversed(PurePosixPath(key).parents):
            (self._root / part).mkdir(parents=True, exist_ok=True, mode=0o700)

    def read(self, key: str) -> bytes:
        """Return the content of a file."""
        return self._path(key).read_bytes()

    def write(self, key: str, text: str, *, last: bool = False) -> None:
        """Write a file atomically, through a temporary one beside it; if `last`, sync it to disk."""
        path = self._path(key)
        # mkstemp makes files that only their owner can read.
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
                if last:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def stamp(self, key: str) -> str | None:
        """Return the modification time and size of a file, or None if there is no such file."""
        path = self._path(key)
        return _stamp(path) if path.is_file() else None

    def stamps(self, folder: str) -> dict[str, str]:
        """Return the modification time and size of every file below a folder."""
        found: dict[str, str] = {}
        for path in (self._root / folder).rglob("*"):
            with suppress(FileNotFoundError):  # removed since it was listed
                if path.is_file():
                    found[path.relative_to(self._root).as_posix()] = _stamp(path)
        return found

    def copy(self, key: str, target: str) -> None:
        """Copy a file, never as a link: JupyterLab writes into the file that it opened."""
        source, path = self._path(key), self._path(target)
        if path.exists() and cmp(source, path):
            return
        self.prepare(target)
        # Beside its source, where `sweep` removes it if this process is killed.
        temporary = source.with_name(f".{source.name}.{os.getpid()}-{threading.get_ident()}.tmp")
        shutil.copy2(source, temporary)
        os.replace(temporary, path)

    def remove(self, key: str) -> None:
        """Remove a file, and the folders that it leaves empty, except the topmost."""
        path = self._path(key)
        path.unlink()
        # Another process may fill or remove the folder meanwhile.
        with suppress(OSError):
            for folder in path.parents:
                if folder.parent == self._root:
                    break
                folder.rmdir()

    def sweep(self, key: str) -> None:
        """Remove the temporary files that a killed writer of this file left behind."""
        path = self._path(key)
        for temporary in path.parent.glob(f".{path.name}.*.tmp"):
            temporary.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if not self.contains(key):
            raise PipelineError(f"{key!r} is not the name of a file below {self._root}")
        return self._root / key


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_mtime_ns}/{status.st_size}"
