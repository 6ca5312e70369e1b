"""The place of a file that is to be declared: below the folder of the connection, copied there if need be."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import UsageError
from notebook_pipeline.outputs.file_names import safe_file_name
from notebook_pipeline.sources.files.download import download
from notebook_pipeline.sources.files.local_files import folder_of
from notebook_pipeline.sources.files.remote_file import Remote
from notebook_pipeline.sources.http.addresses import shown_address

_WEB = ("http://", "https://")


@dataclass(frozen=True)
class Placed:
    """A file on this machine, and the source by which a load names it."""

    path: Path
    source: str


def place(file: str, connection: Connection, cache: Path, say: Callable[[str], object]) -> Placed:
    """Return a file, copied below the connection's folder unless it is there already; say so.

    Raises UsageError if there is no such file, or if another one is in its place.
    """
    folder = _folder(connection)
    if file.lower().startswith(_WEB):
        return _copied(_fetched(file, cache), _name_of(file), folder, shown_address(file), say)
    if "://" in file:
        raise UsageError(f"--file {shown_address(file)}: expected a path, or an address with http or https")
    path = _found(file, folder)
    if path.resolve().is_relative_to(folder.resolve()):
        return Placed(path, path.resolve().relative_to(folder.resolve()).as_posix())
    return _copied(path, path.name, folder, str(path), say)


def _folder(connection: Connection) -> Path:
    """Return the folder of a connection, or raise UsageError if it is not on this machine."""
    if connection.conn_type != "fs" or "://" in folder_of(connection):
        raise UsageError(
            f"connection {connection.conn_id!r} is not a folder on this machine, to which the file could be "
            "copied; unset it while you declare the table, and set it again afterwards"
        )
    return settings.home() / settings.expanded(folder_of(connection))


def _found(file: str, folder: Path) -> Path:
    given = settings.expanded(file)
    places = [Path.cwd() / given, settings.home() / given, folder / given]
    for path in places:
        if path.is_file():
            return path
    if any(path.is_dir() for path in places):
        raise UsageError(f"--file {file}: found a folder, expected one file; name one of those in it")
    looked = ", ".join(dict.fromkeys(str(path.parent) for path in places))
    raise UsageError(f"--file {file}: found no such file in {looked}; expected the path of a file")


def _fetched(url: str, cache: Path) -> Path:
    parts = urlsplit(url)
    server = Connection("declare", "http", host=parts.netloc.rpartition("@")[2], schema=parts.scheme.lower())
    if parts.username or parts.password:
        raise UsageError(f"--file {shown_address(url)}: found a login in the address; fetch the file first")
    return download(Remote(_name_of(url), url, url), server, cache).path


def _name_of(url: str) -> str:
    name = safe_file_name(unquote(PurePosixPath(urlsplit(url).path).name))
    if not name:
        raise UsageError(f"--file {shown_address(url)}: expected an address that ends with a file name")
    return name


def _copied(path: Path, name: str, folder: Path, origin: str, say: Callable[[str], object]) -> Placed:
    target = folder / name
    if target.exists():
        if target.read_bytes() != path.read_bytes():
            raise UsageError(
                f"{target} exists, with another content than {origin}; move one of them away, or rename it"
            )
        say(f"{target} exists already, with the content of {origin}")
        return Placed(target, name)
    folder.mkdir(parents=True, exist_ok=True)
    # A copy that is not complete never has the file's name.
    part = target.with_name(f".{name}.part")
    try:
        shutil.copyfile(path, part)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    say(f"copied {origin} to {target}")
    return Placed(target, name)
