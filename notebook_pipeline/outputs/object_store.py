"""Output on an object store, through fsspec; a PUT is atomic."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

import fsspec
from fsspec.spec import AbstractFileSystem

from notebook_pipeline.errors import PipelineError, UsageError

_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_~.-]+"
_KEY = re.compile(f"{_PART}(?:/{_PART})*")
_IDENTIFYING = ("ETag", "etag", "LastModified", "updated", "mtime", "created", "size")
# Without its content type, a browser downloads a page instead of showing it.
_TYPES = {".html": "text/html; charset=utf-8", ".ipynb": "application/x-ipynb+json"}
# After this many seconds a page reports that the store does not answer.
_TIMEOUTS = {"config_kwargs": {"connect_timeout": 5, "read_timeout": 30}}


class StoreError(OSError, PipelineError):
    """A failed request to an object store."""


class NotStoredError(FileNotFoundError, StoreError):
    """A request for an object that does not exist."""


class ObjectStore:
    """An output whose texts are objects below a URL such as s3://bucket/prefix.

    Credentials come from the environment, as the store's own tools find them. Raises UsageError if the URL
    does not name a store, or the package for its scheme is missing.
    """

    def __init__(self, url: str) -> None:
        self._scheme = _checked(url)
        self._url = url.rstrip("/")
        self._system, self._root = _open(self._url, os.getpid())

    def address(self, key: str = "") -> str:
        """Return the URL of a key."""
        return f"{self._url}/{key}" if key else self._url

    def contains(self, key: str) -> bool:
        """Return True if a key consists of plain names."""
        return _KEY.fullmatch(key) is not None

    def prepare(self, key: str) -> None:
        """Do nothing: a store has no folders."""

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        path = self._path(key)
        with self._as_store_errors(key):
            return cast(bytes, self._system.cat_file(path))

    def write(self, key: str, text: str, *, last: bool = False) -> None:
        """Put an object; it is durable once the store has accepted it, whether `last` or not."""
        path, content = self._path(key), text.encode()
        kind = _TYPES.get(PurePosixPath(key).suffix)
        options = {"ContentType": kind} if kind and self._scheme == "s3" else {}
        with self._as_store_errors(key):
            self._system.pipe_file(path, content, **options)

    def stamp(self, key: str) -> str | None:
        """Return the version of an object as the store describes it, or None if there is no such object."""
        path = self._path(key)
        try:
            with self._as_store_errors(key):
                about = self._system.info(path)
        except FileNotFoundError:
            return None
        return _stamp(about) if about["type"] == "file" else None

    def stamps(self, folder: str) -> dict[str, str]:
        """Return the version of every object below a folder, by one listing."""
        path = self._path(folder)
        try:
            with self._as_store_errors(folder):
                found = cast(Mapping[str, Any], self._system.find(path, detail=True))
        except FileNotFoundError:
            return {}
        # If it finds nothing, s3fs may return the folder itself.
        files = {name: about for name, about in found.items() if about["type"] == "file"}
        return {name.removeprefix(f"{self._root}/"): _stamp(about) for name, about in files.items()}

    def copy(self, key: str, target: str) -> None:
        """Copy an object within the store."""
        source, path = self._path(key), self._path(target)
        with self._as_store_errors(key):
            self._system.cp_file(source, path)

    def remove(self, key: str) -> None:
        """Remove an object."""
        path = self._path(key)
        with self._as_store_errors(key):
            self._system.rm_file(path)

    def sweep(self, key: str) -> None:
        """Do nothing: an interrupted PUT leaves nothing behind."""

    def _path(self, key: str) -> str:
        if not self.contains(key):
            raise PipelineError(f"{key!r} is not the name of an object below {self._url}")
        return f"{self._root}/{key}"

    @contextmanager
    def _as_store_errors(self, key: str) -> Iterator[None]:
        """Raise StoreError for any error, whichever of the store's libraries it comes from."""
        try:
            yield
        except FileNotFoundError as error:
            raise NotStoredError(f"{self.address(key)}: {error}") from error
        except Exception as error:
            raise StoreError(f"{self.address(key)}: {type(error).__name__}: {error}") from error


def _checked(url: str) -> str:
    """Return the scheme of a URL; raise UsageError if it is more or less than a location in a store."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        raise UsageError(f"NOTEBOOK_PIPELINE_OUTPUT is {url!r}; give the path of a folder without file://")
    if "@" in parts.netloc:
        raise UsageError(
            "NOTEBOOK_PIPELINE_OUTPUT contains a login; put credentials in the store's own variables"
        )
    if not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"NOTEBOOK_PIPELINE_OUTPUT is {url!r}; expected a URL such as s3://bucket/prefix")
    return parts.scheme


@cache
def _open(url: str, _process: int) -> tuple[AbstractFileSystem, str]:
    """Return the store's file system and the path of the URL in it; a forked process needs its own."""
    # Listings are not cached: another process may have written since.
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    try:
        scheme = urlsplit(url).scheme
        return fsspec.core.url_to_fs(url, **options, **(_TIMEOUTS if scheme == "s3" else {}))
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"NOTEBOOK_PIPELINE_OUTPUT is {url!r}, which cannot be opened: {error}. For s3://, install the "
            "package s3fs (pinned in requirements/cluster.txt)"
        ) from error


def _stamp(about: Mapping[str, Any]) -> str:
    return "/".join(str(about[name]) for name in _IDENTIFYING if name in about)
