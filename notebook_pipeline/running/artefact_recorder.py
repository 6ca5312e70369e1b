"""Saving the artefact while its run goes on, at intervals that cost the run little."""

import time
from collections.abc import Callable
from typing import Any

import nbformat
from papermill.engines import NotebookExecutionManager

from notebook_pipeline.outputs.artefact_writer import Save
from notebook_pipeline.running.notebook_reader import without_lone_surrogates

# Unless every step is saved, at most about a twentieth of a run is spent on saving.
_PAUSE_PER_SAVE = 20


class Recorder(NotebookExecutionManager):
    """A recorder of each cell's state that saves a changed notebook at most once every `seconds`.

    `before_save` is called before each save, to add outputs that are not in the notebook yet.
    """

    def __init__(self, notebook: nbformat.NotebookNode, save: Save, seconds: float) -> None:
        super().__init__(notebook, progress_bar=False, autosave_cell_every=0)
        self._save = save
        self._seconds = seconds
        self._is_changed = False
        self._next = 0.0
        self.before_save: Callable[[], object] = lambda: None

    def save(self, **_: Any) -> None:
        """Mark the notebook as changed, and save it if the interval has passed."""
        self._is_changed = True
        self.save_if_due()

    def autosave_cell(self) -> None:
        """Mark the notebook as changed by a new output, and save it if a set interval has passed."""
        self._is_changed = True
        if self._seconds:
            self.save_if_due()

    def save_if_due(self) -> None:
        """Save the notebook if it has changed and the interval since the last save has passed."""
        began = time.monotonic()
        if self._is_changed and began >= self._next:
            self.before_save()
            self._save(written(self.nb))
            ended = time.monotonic()
            pause = max(self._seconds, _PAUSE_PER_SAVE * (ended - began)) if self._seconds else 0.0
            self._next = ended + pause
            self._is_changed = False


def written(notebook: nbformat.NotebookNode) -> str:
    """Return a notebook as the text of a file; lone surrogates become replacement characters."""
    return without_lone_surrogates(nbformat.v4.writes(notebook))
