"""The files in an object store, or another file system of fsspec, that a source names."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any, cast

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.files.formats import KNOWN
from notebook_pipeline.sources.files.local_files import MAGIC, Wanted, is_hidden
from notebook_pipeline.sources.files.remote_file import Remote
from notebook_pipeline.sources.http.addresses import shown_address

# These file systems of fsspec open files of this machine, which are only in the folder of a connection.
_LOCAL = re.compile(
    r"^(?:async)?(?:local|file|zip|tar|libarchive|reference|dir|git|\w*cache\w*)$|::", re.IGNORECASE
)
_CHUNK = 1 << 20


def find_stored(url: str, connection: Connection, is_wanted: Wanted) -> Sequence[Remote]:
    """Return the files that a URL names, sorted by name; raise PipelineError if there are none."""
    import fsspec  # rarely needed, and slow to import

    scheme = url.partition("://")[0]
    if _LOCAL.search(scheme):
        raise UsageError(
            f"{shown_address(url)}: {scheme}:// may open files outside of the connection's folder; "
            "expected a file on this machine by its path, or a URL of an object store"
        )
    options = cast("Mapping[str, Any]", connection.extra.get("storage_options") or {})
    try:
        system, root = fsspec.core.url_to_fs(url, **options)
        paths = _listed(system, root, is_wanted)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{shown_address(url)}: {error}") from None
    except OSError as error:
        raise PipelineError(f"{shown_address(url)}: cannot be listed: {error}") from None
    if not paths:
        raise PipelineError(f"no file {shown_address(url)}; expected a name, folder or glob of {KNOWN}")
    parent = root if paths != [root] and not MAGIC.search(root) else os.path.dirname(root)
    urls = {path: system.unstrip_protocol(path) for path in sorted(paths)}
    return [
        Remote(os.path.relpath(path, parent), url, url, partial(_read, system, path))
        for path, url in urls.items()
    ]


def _listed(system: Any, root: str, is_wanted: Wanted) -> list[str]:
    if MAGIC.search(root):
        above = os.path.dirname(root[: root.index(cast("re.Match[str]", MAGIC.search(root))[0])])
        found = [path for path in system.glob(root) if system.isfile(path)]
        # As below a local folder, a wildcard matches a hidden name only if the pattern has one.
        has_hidden = any(map(is_hidden, filter(None, PurePosixPath(root).parts)))
        return found if has_hidden else [path for path in found if not _is_hidden_below(path, above)]
    if system.isdir(root):
        return [path for path in system.find(root) if is_wanted(path) and not _is_hidden_below(path, root)]
    return [root] if system.exists(root) else []


def _is_hidden_below(path: str, root: str) -> bool:
    return any(map(is_hidden, PurePosixPath(os.path.relpath(path, root or "/")).parts))


def _read(system: Any, path: str) -> Iterator[bytes]:
    with system.open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
