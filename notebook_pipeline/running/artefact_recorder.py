"""Keep the artefact in step with the run, at intervals that cost the run little."""

import time
from collections.abc import Callable
from typing import Any

import nbformat
from papermill.engines import NotebookExecutionManager

from notebook_pipeline.outputs.artefact_writer import Save
from notebook_pipeline.running.notebook_reader import without_lone_surrogates

# Unless every step is saved, saving takes at most a twentieth of the time of a run.
_PAUSE_PER_SAVE = 20


class Recorder(NotebookExecutionManager):
    """Note the state of each cell, and save the notebook if it has changed and `seconds` have passed.

    `before_save` is called first: whoever fills the notebook makes it whole.
    """

    def __init__(self, notebook: nbformat.NotebookNode, save: Save, seconds: float) -> None:
        super().__init__(notebook, progress_bar=False, autosave_cell_every=0)
        self._save = save
        self._seconds = seconds
        self._is_changed = False
        self._next = 0.0
        self.before_save: Callable[[], object] = lambda: None

    def save(self, **_: Any) -> None:
        """Save the notebook now if it is time, else with what comes next."""
        self._is_changed = True
        self.save_if_due()

    def autosave_cell(self) -> None:
        """Take note of an output that was just added."""
        self._is_changed = True
        if self._seconds:
            self.save_if_due()

    def save_if_due(self) -> None:
        """Save the notebook if it has changed and the last time is long enough ago."""
        began = time.monotonic()
        if self._is_changed and began >= self._next:
            self.before_save()
            self._save(written(self.nb))
            ended = time.monotonic()
            pause = max(self._seconds, _PAUSE_PER_SAVE * (ended - began)) if self._seconds else 0.0
            self._next = ended + pause
            self._is_changed = False

    def notebook_complete(self, **_: Any) -> None:
        """Leave the last word, and the last save, to `close_artefact`."""


def written(notebook: nbformat.NotebookNode) -> str:
    """Return a notebook as the text of a file; half of a pair of surrogates becomes a replacement mark."""
    return without_lone_surrogates(nbformat.v4.writes(notebook))
