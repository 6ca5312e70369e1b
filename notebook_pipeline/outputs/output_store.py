"""Open the place that NOTEBOOK_PIPELINE_OUTPUT names, and say what every such place can do.

A key is a path relative to that place, as the ledger's column `artifact` holds it.
"""

from collections.abc import Mapping
from typing import Protocol

from notebook_pipeline import settings
from notebook_pipeline.outputs.folder import Folder


class Output(Protocol):
    """Hold texts by their keys; whoever reads sees a whole one, or the whole one before it.

    What goes wrong is an OSError, a key without content FileNotFoundError, a key that is none PipelineError.
    """

    def address(self, key: str = "") -> str:
        """Return where a key lies, as a person would open it."""
        ...

    def contains(self, key: str) -> bool:
        """Say whether a key names something here, be it there or not, and leads nowhere else."""
        ...

    def prepare(self, key: str) -> None:
        """Make the folders above a key, for their owner alone."""
        ...

    def read(self, key: str) -> bytes:
        """Return the content of a key."""
        ...

    def write(self, key: str, text: str, *, last: bool = False) -> None:
        """Put a text in its place in one step; the `last` version outlives a power cut as well."""
        ...

    def stamp(self, key: str) -> str | None:
        """Return what changes with the content of a key; None where there is none."""
        ...

    def stamps(self, folder: str) -> Mapping[str, str]:
        """Return every key below a folder with its stamp."""
        ...

    def copy(self, key: str, target: str) -> None:
        """Let another key hold what this one holds."""
        ...

    def remove(self, key: str) -> None:
        """Remove a key and the folders that it leaves empty."""
        ...

    def sweep(self, key: str) -> None:
        """Remove what a writer of this key left when it was killed."""
        ...


def open_output() -> Output:
    """Return the place for what comes out; raise UsageError where it cannot be one."""
    url = settings.output_url()
    if url is None:
        return Folder(settings.output())
    # Slow to import, and of no use to a folder.
    from notebook_pipeline.outputs.object_store import ObjectStore

    return ObjectStore(url)


def is_artefact(key: str) -> bool:
    """Say whether a key has the form of an executed notebook's."""
    return key.startswith("runs/") and key.endswith(".ipynb")
