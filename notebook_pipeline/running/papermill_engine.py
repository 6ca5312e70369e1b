"""The execution of a notebook with papermill: parameters in a cell, then all cells, saving the artefact."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

import nbformat
from papermill import __version__ as papermill_version
from papermill.parameterize import parameterize_notebook

from notebook_pipeline.errors import UsageError
from notebook_pipeline.outputs.artefact_writer import following
from notebook_pipeline.outputs.output_store import Output
from notebook_pipeline.running import artefact_metadata
from notebook_pipeline.running.artefact_recorder import Recorder, written
from notebook_pipeline.running.execution import Execution
from notebook_pipeline.running.kernel_client import Client
from notebook_pipeline.running.plan import Plan

_OWN_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def load(plan: Plan, about: Mapping[str, Any]) -> nbformat.NotebookNode:
    """Return a notebook ready to run, with the given parameters in a cell and `about` in its metadata."""
    plain = artefact_metadata.without_banner(deepcopy(dict(plan.source)))
    notebook = cast("nbformat.NotebookNode", nbformat.from_dict(plain))
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise UsageError(f"{plan.notebook}: is not a valid notebook: {error.message}") from None
    notebook.metadata["papermill"] = {"version": papermill_version, "input_path": about["notebook"]}
    notebook.metadata[artefact_metadata.KEY] = dict(about)
    if plan.kernel is None:
        # The kernel that the notebook names may not be installed.
        notebook.metadata["kernelspec"] = _OWN_KERNEL
    if plan.given:
        notebook = parameterize_notebook(
            notebook, dict(plan.given), kernel_name=notebook.metadata.kernelspec.name, language=plan.language
        )
        # They are in their cell and in our metadata; a third copy is of no use.
        del notebook.metadata.papermill["parameters"]
    return notebook


def run(notebook: nbformat.NotebookNode, execution: Execution) -> None:
    """Run every cell, saving the artefact meanwhile; the outcome, and any error, is stored in `execution`."""
    with following(execution.output, execution.artifact, execution.say) as save:
        recorder = Recorder(notebook, save, execution.limits.output.save_seconds)
        recorder.notebook_start()
        Client(recorder, execution).execute()


def close_artefact(
    notebook: nbformat.NotebookNode, output: Output, key: str, last_word: artefact_metadata.LastWord
) -> None:
    """Write into a run's artefact how the run ended."""
    artefact_metadata.close(notebook, last_word)
    output.write(key, written(cast("nbformat.NotebookNode", nbformat.from_dict(notebook))), last=True)
