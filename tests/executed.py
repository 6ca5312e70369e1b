"""Execute tiny notebooks with real kernels, and read what came of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny

from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.running.run_notebook import Finished, run_notebook
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect


@dataclass
class Executed:
    """A finished run, its artefact, its ledger row and the reported lines."""

    finished: Finished
    notebook: dict[str, Any]
    row: dict[str, Any]
    lines: list[str]

    @property
    def about(self) -> dict[str, Any]:
        return self.notebook["metadata"]["notebook_pipeline"]

    @property
    def states(self) -> list[str]:
        """Return the state of each cell below the banner."""
        cells = [cell for cell in self.notebook["cells"] if "papermill" in cell["metadata"]]
        return [cell["metadata"]["papermill"]["status"] for cell in cells]

    @property
    def banner(self) -> str:
        top = self.notebook["cells"][0]
        assert top["metadata"]["tags"][0] == "notebook-pipeline-banner"
        return "".join(top["source"])

    @property
    def printed(self) -> str:
        return "".join(
            "".join(output["text"])
            for cell in self.notebook["cells"]
            for output in cell.get("outputs", [])
            if output["output_type"] == "stream"
        )


def execute(home: Path, *cells: Any, parameters: dict[str, Any] | None = None, **options: Any) -> Executed:
    """Write a notebook of these cells, run it, and return what came of it."""
    tiny.write(home / "notebooks" / "n.ipynb", *cells)
    lines: list[str] = []
    finished = run_notebook("n", parameters or {}, report=lines.append, **options)
    return Executed(finished, json.loads(Path(finished.address).read_bytes()), row_of(finished.run_id), lines)


def row_of(run_id: str) -> dict[str, Any]:
    """Return the ledger's row of a run."""
    with connect(resolve(DATABASE)) as database:
        return ledger.get_run(database, run_id)
