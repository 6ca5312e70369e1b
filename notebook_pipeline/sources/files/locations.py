"""The files that a source names: local or remote, relative to a connection or absolute."""

import glob
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.files import formats
from notebook_pipeline.sources.http.addresses import base_address, shown_address

_MAGIC = re.compile(r"[*?[]")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Local:
    """A file on this machine; `name` is used in positions, `alone` is the source that names only it."""

    name: str
    path: Path
    alone: str


@dataclass(frozen=True)
class Remote:
    """A remote file: an HTTP `url`, or a function that yields its bytes; `alone` names only this file."""

    name: str
    url: str
    alone: str
    chunks: Callable[[], Iterator[bytes]] | None = None


def locate(source: str, connection: Connection) -> Sequence[Local | Remote]:
    """Return the files that a source names: one file, or those of a folder or glob, sorted by name.

    A relative name is relative to the connection; several files may be listed, one per line. Raises
    PipelineError if there are none.
    """
    if not source or "\0" in source:
        raise UsageError(f"source {source!r} names no file; give a path, a folder, a glob or a URL")
    if "\n" in source.strip():
        return _each([line for line in source.splitlines() if line], connection)
    if "://" in source:
        return _by_url(source, connection)
    if Path(source).is_absolute():
        return _local(source, [Path("/")])
    if ".." in PurePosixPath(source).parts:
        raise UsageError(f"source {source!r} leaves the folder of its connection; give a name without ..")
    return _relative(source, connection)


def shown(source: str) -> str:
    """Return a source for display: each URL without the parts that may be secret."""
    if "\n" in source:
        return ", ".join(shown_address(line) for line in source.splitlines() if line)
    return shown_address(source)


def groups(source: str, connection: Connection, at_most: int) -> Sequence[str]:
    """Return sources that together name the files of this one, each file once, in the order of names.

    There is one source per file, but at most `at_most`; a single file is returned as it is named.
    """
    names = [found.alone for found in locate(source, connection)]
    if not all(_is_plain(name) for name in names):
        return [source]
    count = min(at_most, len(names))
    if count < 2:
        return [source]
    ends = [len(names) * end // count for end in range(count + 1)]
    return ["\n".join(names[start:end]) for start, end in pairwise(ends)]


def _is_plain(name: str) -> bool:
    """Return True if a name refers to the same file when it is listed by itself."""
    return len(name.splitlines()) == 1 and not ("://" in name and _MAGIC.search(name))


def _each(names: Sequence[str], connection: Connection) -> Sequence[Local | Remote]:
    """Return the files of a list, each with a unique name."""
    found: dict[str, Local | Remote] = {}
    for name in names:
        files = locate(name, connection)
        if len(files) > 1 or files[0].alone in found:
            raise UsageError(f"{shown(name)} in a list of files: name one file per line, and each file once")
        found[files[0].alone] = replace(files[0], name=shown(files[0].alone))
    return sorted(found.values(), key=lambda file: file.name)


def _relative(source: str, connection: Connection) -> Sequence[Local | Remote]:
    if connection.conn_type in ("http", "https"):
        return _by_url(f"{base_address(connection)}/{quote(source)}", connection)
    if connection.conn_type != "fs":
        raise UsageError(
            f"connection {connection.conn_id!r} is of type {connection.conn_type!r}; a source needs one of "
            "type http, or of type fs with a path in its extra"
        )
    base = str(connection.extra.get("path") or "")
    if "://" in base:
        return _by_url(f"{base.rstrip('/')}/{source}", connection)
    # A path relative to the checkout, such as data/orders.csv, is also accepted.
    return _local(source, [settings.home() / settings.expanded(base), settings.home(), Path.cwd()])


def _local(source: str, bases: Sequence[Path]) -> Sequence[Local]:
    for base in bases:
        found = _below(base, source)
        if found:
            return [_spelled(file) for file in found]
    places = ", ".join(dict.fromkeys(str(base) for base in bases))
    raise PipelineError(f"no file {source!r} in {places}; expected a name, folder or glob of {formats.KNOWN}")


def _spelled(file: Local) -> Local:
    """Return a file if its name is UTF-8 text, which can be stored and shown, or raise PipelineError."""
    try:
        str(file.path).encode()
    except UnicodeEncodeError:
        raise PipelineError(
            f"{str(file.path)!a}: found a name that is not UTF-8 text; rename it, or use a UTF-8 locale"
        ) from None
    return file


def _below(base: Path, source: str) -> Sequence[Local]:
    path = base / source
    if path.is_file():
        return [Local(path.name, path, source)]
    if path.is_dir():
        return _named(_files_in(path), path, source)
    if not _MAGIC.search(source):
        return []
    root = Path(glob.escape(str(base)))
    paths = [Path(found) for found in glob.glob(str(root / source), recursive=True)]
    place = "/" if Path(source).is_absolute() else ""
    return _named([found for found in paths if found.is_file()], base, place)


def _files_in(folder: Path) -> list[Path]:
    """Return the bulk files below a folder; hidden files and other formats are ignored."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and formats.of_name(path.name) and not _is_hidden(path.relative_to(folder))
    ]


def _is_hidden(path: Path) -> bool:
    return any(part[0] in "._" for part in path.parts)


def _named(paths: Sequence[Path], base: Path, source: str) -> Sequence[Local]:
    """Return files sorted and named by their path below `base`, which `source` names."""
    names = {path.relative_to(base).as_posix(): path for path in paths}
    return [Local(name, path, str(PurePosixPath(source, name))) for name, path in sorted(names.items())]


def _by_url(url: str, connection: Connection) -> Sequence[Local | Remote]:
    scheme = _scheme(url)
    if scheme == "file":
        return _local(unquote(urlsplit(url).path), [Path("/")])
    if scheme not in ("http", "https"):
        return _by_fsspec(url, connection)
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    if not formats.of_name(name):
        raise PipelineError(
            f"{shown(url)}: HTTP supports no folders or globs; name one file, {formats.KNOWN}"
        )
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


def _by_fsspec(url: str, connection: Connection) -> Sequence[Remote]:
    import fsspec  # rarely needed, and slow to import

    options = cast("Mapping[str, Any]", connection.extra.get("storage_options") or {})
    try:
        system, root = fsspec.core.url_to_fs(url, **options)
        paths = _listed(system, root)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{shown(url)}: {error}") from None
    except OSError as error:
        raise PipelineError(f"{shown(url)}: cannot be listed: {error}") from None
    if not paths:
        raise PipelineError(f"no file {shown(url)}; expected a name, folder or glob of {formats.KNOWN}")
    parent = root if paths != [root] and not _MAGIC.search(root) else os.path.dirname(root)
    urls = {path: system.unstrip_protocol(path) for path in sorted(paths)}
    return [
        Remote(os.path.relpath(path, parent), url, url, partial(_read, system, path))
        for path, url in urls.items()
    ]


def _listed(system: Any, root: str) -> list[str]:
    if _MAGIC.search(root):
        return [path for path in system.glob(root) if system.isfile(path)]
    if system.isdir(root):
        return [
            path
            for path in system.find(root)
            if formats.of_name(path) and not _is_hidden(Path(os.path.relpath(path, root)))
        ]
    return [root] if system.exists(root) else []


def _read(system: Any, path: str) -> Iterator[bytes]:
    with system.open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
