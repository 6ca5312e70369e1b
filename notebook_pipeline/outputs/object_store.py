"""Keep what comes out on an object store, through fsspec; one PUT is whole, or it is not there."""

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
# Without its type, a browser saves a page instead of showing it.
_TYPES = {".html": "text/html; charset=utf-8", ".ipynb": "application/x-ipynb+json"}
# A page that waits longer says that the store does not answer.
_TIMEOUTS = {"config_kwargs": {"connect_timeout": 5, "read_timeout": 30}}


class StoreError(OSError, PipelineError):
    """Say that an object store did not do what it was asked."""


class NotStoredError(FileNotFoundError, StoreError):
    """Say that an object store holds nothing there."""


class ObjectStore:
    """Hold texts as objects below a URL such as s3://bucket/prefix.

    Credentials are those of the environment, as the store's own tools find them. Raises UsageError where
    the URL names no store, or the package for its scheme is missing.
    """

    def __init__(self, url: str) -> None:
        self._scheme = _checked(url)
        self._url = url.rstrip("/")
        self._system, self._root = _open(self._url, os.getpid())

    def address(self, key: str = "") -> str:
        """Return the URL of a key."""
        return f"{self._url}/{key}" if key else self._url

    def contains(self, key: str) -> bool:
        """Say whether a key is made of plain names."""
        return _KEY.fullmatch(key) is not None

    def prepare(self, key: str) -> None:
        """Do nothing: a store has no folders."""

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        path = self._path(key)
        with self._told(key):
            return cast(bytes, self._system.cat_file(path))

    def write(self, key: str, text: str, *, last: bool = False) -> None:
        """Put an object; what a store has accepted, it keeps."""
        path, content = self._path(key), text.encode()
        kind = _TYPES.get(PurePosixPath(key).suffix)
        options = {"ContentType": kind} if kind and self._scheme == "s3" else {}
        with self._told(key):
            self._system.pipe_file(path, content, **options)

    def stamp(self, key: str) -> str | None:
        """Return what the store says of an object's version."""
        path = self._path(key)
        try:
            with self._told(key):
                about = self._system.info(path)
        except FileNotFoundError:
            return None
        return _stamp(about) if about["type"] == "file" else None

    def stamps(self, folder: str) -> dict[str, str]:
        """Return every object below a folder with its version, in one listing."""
        path = self._path(folder)
        try:
            with self._told(folder):
                found = cast(Mapping[str, Any], self._system.find(path, detail=True))
        except FileNotFoundError:
            return {}
        # Where it finds nothing, s3fs may name the folder itself.
        files = {name: about for name, about in found.items() if about["type"] == "file"}
        return {name.removeprefix(f"{self._root}/"): _stamp(about) for name, about in files.items()}

    def copy(self, key: str, target: str) -> None:
        """Copy an object within the store."""
        source, path = self._path(key), self._path(target)
        with self._told(key):
            self._system.cp_file(source, path)

    def remove(self, key: str) -> None:
        """Remove an object."""
        path = self._path(key)
        with self._told(key):
            self._system.rm_file(path)

    def sweep(self, key: str) -> None:
        """Do nothing: a store keeps nothing of a PUT that was cut off."""

    def _path(self, key: str) -> str:
        if not self.contains(key):
            raise PipelineError(f"{key!r} names no object below {self._url}")
        return f"{self._root}/{key}"

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Tell errors alike, whichever of the store's libraries they come from."""
        try:
            yield
        except FileNotFoundError as error:
            raise NotStoredError(f"{self.address(key)}: {error}") from error
        except Exception as error:
            raise StoreError(f"{self.address(key)}: {type(error).__name__}: {error}") from error


def _checked(url: str) -> str:
    """Return the scheme of a URL that names a place in a store and nothing else."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        raise UsageError(f"NOTEBOOK_PIPELINE_OUTPUT is {url!r}; give a folder by its path")
    if "@" in parts.netloc:
        raise UsageError(
            "NOTEBOOK_PIPELINE_OUTPUT holds a login; give credentials in the store's own variables"
        )
    if not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"NOTEBOOK_PIPELINE_OUTPUT is {url!r}; expected a URL such as s3://bucket/prefix")
    return parts.scheme


@cache
def _open(url: str, _process: int) -> tuple[AbstractFileSystem, str]:
    """Return what speaks to the store, and the URL as it calls it; a forked process needs its own."""
    # Another process may have written since a listing.
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    try:
        scheme = urlsplit(url).scheme
        return fsspec.core.url_to_fs(url, **options, **(_TIMEOUTS if scheme == "s3" else {}))
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"NOTEBOOK_PIPELINE_OUTPUT is {url!r}, and that cannot be opened: {error}. For s3:// the package "
            "s3fs is needed, which requirements/cluster.txt pins"
        ) from error


def _stamp(about: Mapping[str, Any]) -> str:
    return "/".join(str(about[name]) for name in _IDENTIFYING if name in about)
