"""The output that NOTEBOOK_PIPELINE_OUTPUT names, and the interface of every kind of output.

A key is a path relative to the output's root, as in the ledger's column `artifact`.
"""

from collections.abc import Mapping
from typing import Protocol

from notebook_pipeline import settings
from notebook_pipeline.outputs.folder import Folder


class Output(Protocol):
    """A store of texts by key; a reader sees a complete version, the newest or the one before.

    Methods raise FileNotFoundError for a key without content, PipelineError for an invalid key, and OSError
    if anything else goes wrong.
    """

    def address(self, key: str = "") -> str:
        """Return the path or URL of a key, for a person to open."""
        ...

    def contains(self, key: str) -> bool:
        """Return True if a key is valid and leads nowhere outside, whether or not it has content."""
        ...

    def prepare(self, key: str) -> None:
        """Create the folders above a key, readable only by their owner."""
        ...

    def read(self, key: str) -> bytes:
        """Return the content of a key."""
        ...

    def write(self, key: str, text: str, *, last: bool = False) -> None:
        """Write a text atomically; if `last`, make it survive a power failure as well."""
        ...

    def stamp(self, key: str) -> str | None:
        """Return a text that changes whenever the content of a key does, or None if it has no content."""
        ...

    def stamps(self, folder: str) -> Mapping[str, str]:
        """Return the stamp of every key below a folder."""
        ...

    def copy(self, key: str, target: str) -> None:
        """Copy the content of a key to another one."""
        ...

    def remove(self, key: str) -> None:
        """Remove a key and the folders that it leaves empty."""
        ...

    def sweep(self, key: str) -> None:
        """Remove the temporary files that a killed writer of this key left behind."""
        ...


def open_output() -> Output:
    """Return the output that is configured; raise UsageError if NOTEBOOK_PIPELINE_OUTPUT is not valid."""
    url = settings.output_url()
    if url is None:
        return Folder(settings.output())
    # Imported here because it is slow, and not needed for a folder.
    from notebook_pipeline.outputs.object_store import ObjectStore

    return ObjectStore(url)


def is_artefact(key: str) -> bool:
    """Return True if a key has the form of an executed notebook's."""
    return key.startswith("runs/") and key.endswith(".ipynb")
