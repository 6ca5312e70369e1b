"""Downloads: a remote file copied to the local disk, hashed while it is copied, complete or not at all."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import pyarrow as pa

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.outputs.file_names import safe_file_name
from notebook_pipeline.sources.files import formats
from notebook_pipeline.sources.files.locations import Remote, shown
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.retries import file_patience

_CHUNK = 1 << 20
_KEPT_DAYS = 2


def download(remote: Remote, connection: Connection, cache: Path) -> tuple[Path, str]:
    """Copy a remote file into the cache folder; return its path there and its SHA-256.

    An incomplete file never has its final name. Raises PipelineError.
    """
    return _store(remote.name, cache, lambda part: _fetch(remote, connection, part))


def unpack(path: Path, name: str, compression: str, cache: Path) -> Path:
    """Decompress a file into the cache folder, for a format that needs random access."""

    def copy(part: IO[bytes]) -> str:
        with formats.open_stream(path, compression) as stream:
            return _copy(_pieces(stream, name, compression), part)

    return _store(f"unpacked-{name}", cache, copy)[0]


def _pieces(stream: pa.NativeFile, name: str, compression: str) -> Iterator[bytes]:
    with formats.whole(name, compression):
        while piece := stream.read(_CHUNK):
            yield piece


def _store(name: str, cache: Path, write: Callable[[IO[bytes]], str]) -> tuple[Path, str]:
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


def _forget_old(cache: Path) -> None:
    """Remove old downloads, and files that killed runs left behind."""
    limit = time.time() - _KEPT_DAYS * 86_400
    for path in cache.iterdir():
        if path.is_file() and path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)


def _fetch(remote: Remote, connection: Connection, part: IO[bytes]) -> str:
    if remote.chunks:
        try:
            return _copy(remote.chunks(), part)
        except Exception as error:  # every file system of fsspec has its own errors
            raise PipelineError(f"{shown(remote.url)}: cannot be read: {error}") from error
    name = PurePosixPath(remote.name).name
    # A file that is compressed by name is stored as it is, whatever its Content-Encoding.
    decode = not name.endswith((".gz", ".zst"))
    with Client(connection, file_patience(connection)) as client:
        return client.stream(remote.url, lambda chunks: _copy(chunks, part), what=name, decode=decode)


def _copy(chunks: Iterable[bytes], part: IO[bytes]) -> str:
    part.seek(0)
    part.truncate()
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        part.write(chunk)
    return digest.hexdigest()
