"""The folder of copies: downloads and unpacked files, each named by its content and removed after days."""

import hashlib
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from notebook_pipeline.errors import PipelineError
from notebook_pipeline.outputs.file_names import safe_file_name
from notebook_pipeline.sources.files.formats import whole
from notebook_pipeline.sources.files.text_stream import LimitedStream, unpacked

_CHUNK = 1 << 20
_KEPT_DAYS = 2
_ENCRYPTED = 0x1


def store(name: str, cache: Path, write: Callable[[IO[bytes]], str]) -> tuple[Path, str]:
    """Keep what `write` writes and returns the checksum of; return its path and checksum.

    A file that is not complete is removed.
    """
    path = None
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget_old(cache)
        with tempfile.NamedTemporaryFile(dir=cache, suffix=".part", delete=False) as part:
            path = Path(part.name)
            sha256 = write(part)
        return path.rename(cache / f"{sha256[:16]}-{safe_file_name(name)}"), sha256
    except OSError as error:  # such as a full disk
        raise PipelineError(
            f"{name}: cannot be written to {cache}: {error}; free space or set NOTEBOOK_PIPELINE_OUTPUT"
        ) from error
    finally:
        if path:
            path.unlink(missing_ok=True)


def unpack(path: Path, name: str, compression: str, cache: Path, max_bytes: float) -> Path:
    """Decompress a file into the cache folder, for a format that needs random access.

    Raises PipelineError if it is damaged, or unpacks to more than `max_bytes`.
    """

    def copy(part: IO[bytes]) -> str:
        with whole(name, compression), path.open("rb") as file:
            return _copied(unpacked(file, compression), name, max_bytes, part)

    return store(f"unpacked-{name}", cache, copy)[0]


def unpack_member(path: Path, name: str, cache: Path, max_bytes: float) -> tuple[Path, str]:
    """Unpack the only file in a zip archive into the cache folder; return its path and its name."""
    with whole(name, "zip"), zipfile.ZipFile(path) as archive:
        members = [
            info
            for info in archive.infolist()
            if not info.is_dir() and not info.filename.startswith("__MACOSX/")
        ]
        if len(members) != 1:
            raise PipelineError(
                f"{name}: found {len(members)} files in this zip archive, expected one; unpack it, or put "
                "each file into an archive of its own"
            )
        [member] = members
        if member.flag_bits & _ENCRYPTED:
            raise PipelineError(f"{name}: the zip archive needs a password; write it without one")

        def copy(part: IO[bytes]) -> str:
            with whole(name, "zip"), archive.open(member) as file:
                return _copied(file, name, max_bytes, part)

        return store(f"unpacked-{name}", cache, copy)[0], member.filename


def _copied(stream: IO[bytes] | object, name: str, max_bytes: float, part: IO[bytes]) -> str:
    limited = LimitedStream(stream, name, max_bytes)  # type: ignore[arg-type]
    digest = hashlib.sha256()
    while piece := limited.read(_CHUNK):
        digest.update(piece)
        part.write(piece)
    return digest.hexdigest()


def _forget_old(cache: Path) -> None:
    """Remove old copies, and files that killed runs left behind."""
    limit = time.time() - _KEPT_DAYS * 86_400
    for path in cache.iterdir():
        if path.is_file() and path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
