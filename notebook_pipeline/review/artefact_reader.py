"""Find and read the executed notebook of a run; refuse a path to any other file."""

from collections.abc import Mapping
from typing import Any

import orjson

from notebook_pipeline.errors import PipelineError
from notebook_pipeline.outputs.output_store import Output, is_artefact
from notebook_pipeline.review.queries import Run
from notebook_pipeline.running import artefact_metadata

Notebook = Mapping[str, Any]


def artefact_key(output: Output, run: Run) -> str | None:
    """Return the key of a run's executed notebook, or None if it has none.

    Raises PipelineError if the ledger names anything other than a notebook below `runs/`.
    """
    key = run["artifact"]
    if not key or "\0" in key:
        return None
    if not is_artefact(key) or not output.contains(key):
        raise PipelineError(
            f"run {run['run_id']}: artefact {key!r} is not a notebook below {output.address('runs')}"
        )
    return key


def read_artefact(output: Output, run: Run) -> bytes | None:
    """Return a run's executed notebook as it was saved, or None if it is missing."""
    key = artefact_key(output, run)
    try:
        return output.read(key) if key else None
    except FileNotFoundError:
        return None


def read_notebook(output: Output, run: Run) -> Notebook | None:
    """Return a run's executed notebook with the lines of each text joined, or None if it is missing.

    Raises PipelineError if the file is not a notebook.
    """
    try:
        content = read_artefact(output, run)
        if content is None:
            return None
        notebook = orjson.loads(content)
        return {**notebook, "cells": [_joined(cell) for cell in notebook["cells"]]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        address = output.address(run["artifact"])
        raise PipelineError(f"{address}: cannot be read as a notebook: {error}") from error


def run_metadata(notebook: Notebook | None) -> Mapping[str, Any]:
    """Return the metadata that the runner wrote into the notebook."""
    found = (notebook or {}).get("metadata", {}).get(artefact_metadata.KEY)
    return found if isinstance(found, Mapping) else {}


def _joined(cell: Mapping[str, Any]) -> dict[str, Any]:
    outputs = [_joined_output(output) for output in cell.get("outputs", [])]
    return {**cell, "source": _text(cell["source"]), "outputs": outputs, "metadata": cell.get("metadata", {})}


def _joined_output(output: Mapping[str, Any]) -> dict[str, Any]:
    data = {kind: _text(value) for kind, value in output.get("data", {}).items()}
    return {**output, "data": data, "text": _text(output.get("text", ""))}


def _text(value: Any) -> Any:
    """Join a text that the notebook stores as a list of lines; return other JSON values unchanged."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value
