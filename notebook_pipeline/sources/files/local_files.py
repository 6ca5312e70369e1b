"""The files on this machine that a source names, all of them inside the folder of the connection."""

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.files.formats import KNOWN

MAGIC = re.compile(r"[*?[]")

Wanted = Callable[[str], bool]


@dataclass(frozen=True)
class Local:
    """A file on this machine; `name` is used in positions, `alone` is the source that names only it."""

    name: str
    path: Path
    alone: str


def find_local(source: str, connection: Connection, is_wanted: Wanted) -> Sequence[Local]:
    """Return the files that a path names: a file, those of a folder that are wanted, or those of a glob.

    Raises UsageError if there are none, or if one is outside of the folder of the connection.
    """
    base = folder_of(connection)
    if "://" in base:
        raise UsageError(
            f"source {source!r} is a path on this machine, but the connection's folder is {base}"
        )
    root = settings.home() / settings.expanded(base)
    # A path relative to the checkout, such as data/orders.csv, is also accepted.
    places = [Path("/")] if Path(source).is_absolute() else [root, settings.home(), Path.cwd()]
    for place in places:
        found = _below(place, source, is_wanted)
        if found:
            _check_inside(source, found, root, connection)
            return found
    looked = ", ".join(dict.fromkeys(map(str, places if places[0] == root else [root])))
    raise UsageError(f"no file {source!r} in {looked}; expected a name, folder or glob of {KNOWN}")


def folder_of(connection: Connection) -> str:
    """Return the folder or URL of a connection, to which names are relative."""
    return str(connection.extra.get("path") or "").removeprefix("file://")


def _check_inside(source: str, found: Iterable[Local], root: Path, connection: Connection) -> None:
    """Raise UsageError if a file is outside of the connection's folder, also by a link."""
    allow = connection.extra.get("allow") or ()
    given = [allow] if isinstance(allow, str) else allow if isinstance(allow, list | tuple) else ()
    folders = [root, *(settings.home() / settings.expanded(str(folder)) for folder in given)]
    inside = [folder.resolve() for folder in folders]
    for file in found:
        target = file.path.resolve()
        if not any(target.is_relative_to(folder) for folder in inside):
            linked = f", a link to {target}" if target != file.path.absolute() else ""
            raise UsageError(
                f"source {source!r} names {file.path}{linked}, which is not in {root}, the folder of "
                f"connection {connection.conn_id!r}; move the file there, or list its folder in `allow` in "
                "the connection's extra"
            )


def _below(base: Path, source: str, is_wanted: Wanted) -> Sequence[Local]:
    path = base / source
    if path.is_file():
        _check_spelling(path)
        return [Local(path.name, path, source)]
    if path.is_dir():
        wanted = [file for file in _walk(path, ()) if is_wanted(file.name)]
        return _named(wanted, path, source)
    _check_target(path)
    if not MAGIC.search(source):
        return []
    parts = PurePosixPath(source).parts
    found = _matching(base, parts[1:] if Path(source).is_absolute() else parts, ())
    return _named(dict.fromkeys(found), base, "/" if Path(source).is_absolute() else "")


def _named(paths: Iterable[Path], base: Path, source: str) -> Sequence[Local]:
    """Return files sorted and named by their path below `base`, which `source` names."""
    for path in (paths := list(paths)):
        _check_spelling(path)
    names = {path.relative_to(base).as_posix(): path for path in paths}
    return [Local(name, path, str(PurePosixPath(source, name))) for name, path in sorted(names.items())]


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files below a folder, also below links to folders; hidden ones are left out."""
    for path in _entries(folder):
        if not is_hidden(path.name):
            if path.is_dir():
                yield from _walk(path, _entered(path, above, folder))
            elif _check_target(path):
                yield path


def _matching(folder: Path, parts: Sequence[str], above: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files below a folder that match the parts of a glob.

    A wildcard matches a hidden name only if it begins like it.
    """
    part, *others = parts
    if part == "**":
        if others:
            yield from _matching(folder, others, above)
        for path in _entries(folder):
            if is_hidden(path.name):
                continue
            if path.is_dir():
                yield from _matching(path, parts, _entered(path, above, folder))
            elif not others and _check_target(path):
                yield path
        return
    if MAGIC.search(part):
        names = [path for path in _entries(folder) if _matches(path.name, part)]
    else:
        names = [folder / part]
    for path in names:
        if others and path.is_dir():
            yield from _matching(path, others, above)
        elif not others and not path.is_dir() and _check_target(path):
            yield path


def _matches(name: str, part: str) -> bool:
    return fnmatch.fnmatchcase(name, part) and (not is_hidden(name) or name[0] == part[0])


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise PipelineError(f"{folder}: cannot be listed: {error}; check its permissions") from None


def _entered(folder: Path, above: tuple[Path, ...], parent: Path) -> tuple[Path, ...]:
    """Return the folders above the content of a folder; raise UsageError if a link leads back to one."""
    above = above or (parent.resolve(),)
    target = folder.resolve()
    if target in above:
        raise UsageError(f"{folder} is a link to {target}, a folder that contains it; remove the link")
    return (*above, target)


def _check_target(path: Path) -> bool:
    """Return True if a path is a file; raise UsageError if it is a link to nothing."""
    if path.is_symlink() and not path.exists():
        raise UsageError(
            f"{path} is a link to {os.readlink(path)}, which does not exist; restore its target, or remove it"
        )
    return path.is_file()


def _check_spelling(path: Path) -> None:
    """Raise UsageError if a name is not UTF-8 text, which can be stored and shown."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{str(path)!a}: found a name that is not UTF-8 text; rename it, or use a UTF-8 locale"
        ) from None


def is_hidden(name: str) -> bool:
    """Return True if a file or folder of this name is not listed: others write it, or it is not complete."""
    return name[0] in "._"
