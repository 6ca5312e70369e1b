"""Downloads: a remote file copied to the local disk, hashed while it is copied, complete or not at all."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.files import formats
from notebook_pipeline.sources.files.file_cache import store
from notebook_pipeline.sources.files.remote_file import Remote
from notebook_pipeline.sources.http.addresses import shown_address
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.retries import Patience, file_patience

_OVERTIME = 1.0  # seconds after the limit, in which the copy itself should have stopped


@dataclass(frozen=True)
class Download:
    """A copy of a remote file: its path, its checksum, and what the server reported of it.

    `has_length` is false if the server told neither the length nor the end of the file, so that nothing but
    its content can show that it is complete.
    """

    path: Path
    sha256: str
    headers: Mapping[str, str]
    has_length: bool = True


def download(remote: Remote, connection: Connection, cache: Path) -> Download:
    """Copy a remote file into the cache folder.

    An incomplete file never has its final name. Raises PipelineError, also if the file is larger or takes
    longer than the connection allows.
    """
    headers: dict[str, str] = {}
    path, sha256 = store(remote.name, cache, lambda part: _fetch(remote, connection, part, headers))
    has_length = bool(remote.chunks) or not {"content-length", "transfer-encoding"}.isdisjoint(headers)
    return Download(path, sha256, headers, has_length)


def _fetch(remote: Remote, connection: Connection, part: IO[bytes], headers: dict[str, str]) -> str:
    patience = file_patience(connection)
    if remote.chunks:
        return _copy_stored(remote, patience, part)
    name = PurePosixPath(remote.name).name
    # A file that is compressed by name is stored as it is, whatever its Content-Encoding.
    decode = not formats.of_name(name).compression

    def keep(answered: Mapping[str, str]) -> None:
        headers.clear()
        headers.update({field.lower(): value for field, value in answered.items()})

    with Client(connection, patience) as client:
        return client.stream(
            remote.url, lambda pieces: _copy(pieces, part), what=name, decode=decode, headers=keep
        )


def _copy_stored(remote: Remote, patience: Patience, part: IO[bytes]) -> str:
    """Copy a file of an object store within the limits of size and time, even if the store hangs."""
    chunks = remote.chunks or (lambda: iter(()))
    copying = Client.start(lambda: _copy(_limited(chunks(), remote, patience), part))
    try:
        return copying.result(timeout=patience.budget + _OVERTIME)
    except PipelineError:
        raise
    except TimeoutError:
        raise _late(remote, patience) from None
    except Exception as error:  # every file system of fsspec has its own errors
        raise PipelineError(f"{shown_address(remote.url)}: cannot be read: {error}") from error


def _limited(chunks: Iterator[bytes], remote: Remote, patience: Patience) -> Iterator[bytes]:
    size, until = 0, time.monotonic() + patience.budget
    for chunk in chunks:
        size += len(chunk)
        if size > patience.max_bytes:
            raise PipelineError(
                f"{shown_address(remote.url)}: found more than {patience.max_bytes:,.0f} bytes; check "
                "that this is the right file; if so, set a larger `max_bytes` in the connection's extra"
            )
        if time.monotonic() > until:
            raise _late(remote, patience)
        yield chunk


def _late(remote: Remote, patience: Patience) -> PipelineError:
    return PipelineError(
        f"{shown_address(remote.url)}: not read to its end within {patience.budget:g} s; run this again, "
        "or set a larger `max_seconds` in the connection's extra"
    )


def _copy(chunks: Iterable[bytes], part: IO[bytes]) -> str:
    part.seek(0)
    part.truncate()
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        part.write(chunk)
    return digest.hexdigest()
