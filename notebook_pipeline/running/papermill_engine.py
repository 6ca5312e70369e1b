"""The papermill engine: run a notebook's cells in a kernel; mask, report and save their outputs."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

import nbformat
from papermill import __version__ as papermill_version
from papermill.engines import Engine, papermill_engines
from papermill.parameterize import parameterize_notebook

from notebook_pipeline.errors import UsageError
from notebook_pipeline.outputs.artefact_writer import following
from notebook_pipeline.outputs.output_store import Output
from notebook_pipeline.running import artefact_metadata
from notebook_pipeline.running.artefact_recorder import Recorder, written
from notebook_pipeline.running.execution import Execution
from notebook_pipeline.running.kernel_client import Client
from notebook_pipeline.running.plan import Plan

NAME = "notebook_pipeline"
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
    """Run every cell, saving the artefact meanwhile; the outcome is stored in `execution`."""
    papermill_engines.execute_notebook_with_engine(NAME, notebook, "python3", execution=execution)


class NotebookPipelineEngine(Engine):
    """The engine that papermill knows as `notebook_pipeline`."""

    @classmethod
    def execute_notebook(  # type: ignore[override]
        cls, nb: nbformat.NotebookNode, kernel_name: str, *, execution: Execution, **_: Any
    ) -> nbformat.NotebookNode:
        """Run the cells, saving the artefact meanwhile; their errors are stored, not raised."""
        with following(execution.output, execution.artifact, execution.say) as save:
            recorder = Recorder(nb, save, execution.limits.output.save_seconds)
            recorder.notebook_start()
            Client(recorder, execution).execute()
        return nb


papermill_engines.register(NAME, NotebookPipelineEngine)


def close_artefact(
    notebook: nbformat.NotebookNode, output: Output, key: str, last_word: artefact_metadata.LastWord
) -> None:
    """Write into a run's artefact how the run ended."""
    artefact_metadata.close(notebook, last_word)
    output.write(key, written(cast("nbformat.NotebookNode", nbformat.from_dict(notebook))), last=True)
