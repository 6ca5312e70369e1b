"""The files that a source names: local or remote, relative to a connection or absolute."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from notebook_pipeline.connections import Connection
from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.files.formats import KNOWN, is_bulk_file
from notebook_pipeline.sources.files.local_files import (
    MAGIC,
    Local,
    Wanted,
    find_local,
    folder_of,
)
from notebook_pipeline.sources.files.remote_file import Remote
from notebook_pipeline.sources.files.stored_files import find_stored
from notebook_pipeline.sources.http.addresses import base_address, shown_address

_HTTP = ("http", "https")


def locate(source: str, connection: Connection, files: Files) -> Sequence[Local | Remote]:
    """Return the files that a source names: one file, or those of a folder or glob, sorted by name.

    A relative name is relative to the connection; several files may be listed, one per line. Raises
    PipelineError if there are none.
    """
    if not source or "\0" in source:
        raise UsageError(f"source {source!r} names no file; give a path, a folder, a glob or a URL")
    if "\n" in source.strip():
        return _each([line for line in source.splitlines() if line], connection, files)
    is_wanted = partial(is_bulk_file, files=files)
    if "://" in source:
        return _by_url(source, connection, is_wanted)
    if ".." in PurePosixPath(source).parts:
        raise UsageError(f"source {source!r} leaves the folder of its connection; give a name without ..")
    return _by_path(source, connection, is_wanted)


def is_local(source: str, connection: Connection) -> bool:
    """Return True if a source names files on this machine, which are found without a network."""
    base = folder_of(connection)
    remote = any("://" in line for line in (*source.splitlines(), base))
    return connection.conn_type == "fs" and bool(source) and not remote


def shown(source: str) -> str:
    """Return a source for display: each URL without the parts that may be secret."""
    if "\n" in source:
        return ", ".join(shown_address(line) for line in source.splitlines() if line)
    return shown_address(source)


def groups(source: str, connection: Connection, files: Files, at_most: int) -> Sequence[str]:
    """Return sources that together name the files of this one, each file once, in the order of names.

    There is one source per file, but at most `at_most`; a single file is returned as it is named, and a
    snapshot is not divided: only all its files together say which rows there are.
    """
    names = [found.alone for found in locate(source, connection, files)]
    if files.snapshot or not all(_is_plain(name) for name in names):
        return [source]
    count = min(at_most, len(names))
    if count < 2:
        return [source]
    ends = [len(names) * end // count for end in range(count + 1)]
    return ["\n".join(names[start:end]) for start, end in pairwise(ends)]


def _is_plain(name: str) -> bool:
    """Return True if a name refers to the same file when it is listed by itself."""
    return len(name.splitlines()) == 1 and not ("://" in name and MAGIC.search(name))


def _each(names: Sequence[str], connection: Connection, files: Files) -> Sequence[Local | Remote]:
    """Return the files of a list, each with a unique name."""
    found: dict[str, Local | Remote] = {}
    for name in names:
        named = locate(name, connection, files)
        if len(named) > 1 or named[0].alone in found:
            raise UsageError(f"{shown(name)} in a list of files: name one file per line, and each file once")
        found[named[0].alone] = replace(named[0], name=shown(named[0].alone))
    return sorted(found.values(), key=lambda file: file.name)


def _by_path(source: str, connection: Connection, is_wanted: Wanted) -> Sequence[Local | Remote]:
    if connection.conn_type in _HTTP:
        path, mark, query = source.lstrip("/").partition("?")
        return _by_url(f"{base_address(connection)}/{quote(path)}{mark}{query}", connection, is_wanted)
    if connection.conn_type != "fs":
        raise UsageError(
            f"connection {connection.conn_id!r} is of type {connection.conn_type!r}; a source needs one of "
            "type http, or of type fs with a path in its extra"
        )
    base = folder_of(connection)
    if "://" in base and not Path(source).is_absolute():
        return _by_url(f"{base.rstrip('/')}/{source}", connection, is_wanted)
    return find_local(source, connection, is_wanted)


def _by_url(url: str, connection: Connection, is_wanted: Wanted) -> Sequence[Local | Remote]:
    scheme = _scheme(url)
    if scheme == "file":
        if connection.conn_type != "fs":
            raise UsageError(f"{url}: a file on this machine needs a connection of type fs with a path")
        return find_local(unquote(urlsplit(url).path), connection, is_wanted)
    if scheme not in _HTTP:
        return find_stored(url, connection, is_wanted)
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    if not name or urlsplit(url).path.endswith("/") or "*" in name:
        raise PipelineError(f"{shown(url)}: HTTP supports no folders or globs; name one file, {KNOWN}")
    return [Remote(name, url, url)]


def _scheme(url: str) -> str:
    """Return the scheme of a URL, or raise UsageError if it is invalid or contains a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"{shown(url)}: not a URL ({error})") from None
    if parts.password:
        raise UsageError(f"{shown(url)}: found a password in the source; store it in a connection instead")
    return parts.scheme.lower()
