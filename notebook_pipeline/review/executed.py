"""Find a run's executed notebook below the output folder and read it; refuse whatever else a path names."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from notebook_pipeline.errors import PipelineError
from notebook_pipeline.review.queries import Run
from notebook_pipeline.running import record

Notebook = Mapping[str, Any]


def artefact_path(output: Path, run: Run) -> Path | None:
    """Return the file of a run's executed notebook, or None where there is none (any more).

    Raises PipelineError where the ledger names anything but a notebook below `<output>/runs`.
    """
    if not run["artifact"] or "\0" in run["artifact"]:
        return None
    runs = (output / "runs").resolve()
    path = Path(os.path.realpath(output / run["artifact"]))
    if not path.is_relative_to(runs) or path.suffix != ".ipynb":
        raise PipelineError(f"run {run['run_id']}: artefact {run['artifact']!r} is no notebook below {runs}")
    return path if path.is_file() else None


def read_notebook(path: Path) -> Notebook:
    """Return a notebook as saved, every text in one piece.

    Raises PipelineError where the file is not a notebook.
    """
    try:
        notebook = orjson.loads(path.read_bytes())
        return {**notebook, "cells": [_joined(cell) for cell in notebook["cells"]]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise PipelineError(f"{path}: cannot be read as a notebook: {error}") from error


def run_metadata(notebook: Notebook | None) -> Mapping[str, Any]:
    """Return what the runner wrote about the run into its notebook."""
    found = (notebook or {}).get("metadata", {}).get(record.KEY)
    return found if isinstance(found, Mapping) else {}


def _joined(cell: Mapping[str, Any]) -> dict[str, Any]:
    outputs = [_joined_output(output) for output in cell.get("outputs", [])]
    return {**cell, "source": _text(cell["source"]), "outputs": outputs, "metadata": cell.get("metadata", {})}


def _joined_output(output: Mapping[str, Any]) -> dict[str, Any]:
    data = {kind: _text(value) for kind, value in output.get("data", {}).items()}
    return {**output, "data": data, "text": _text(output.get("text", ""))}


def _text(value: Any) -> Any:
    """Join lines, in which the notebook format may store a text; leave JSON values as they are."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value
