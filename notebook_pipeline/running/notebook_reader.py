"""Reading notebook files as nbformat 4, repairing what Jupyter and papermill accept, too."""

import json
import re
from collections.abc import Mapping
from typing import Any

from notebook_pipeline.errors import UsageError

Notebook = dict[str, Any]

_MAJOR, _MINOR = 4, 5
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_FIELDS = {
    "code": ("id", "cell_type", "metadata", "source", "outputs", "execution_count"),
    "markdown": ("id", "cell_type", "metadata", "source", "attachments"),
    "raw": ("id", "cell_type", "metadata", "source", "attachments"),
}


def read_notebook(content: bytes, name: str) -> Notebook:
    """Return the notebook in a file's content as JSON of nbformat 4.5, without outputs.

    A byte order mark, missing metadata, tags that are null, identifiers that nbformat rejects and lone
    surrogates are repaired, and nbformat 2 and 3 are converted. Raises UsageError, which names the file, if
    the content is not a notebook.
    """
    notebook = _json(content, name)
    major = notebook.get("nbformat", _MAJOR)
    if major not in (2, 3, _MAJOR):
        raise UsageError(f"{name}: found nbformat {major!r}, expected 4 (or 2 or 3); save it in that format")
    if major != _MAJOR:
        notebook = _upgraded(notebook, name)
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise UsageError(f"{name}: is not a notebook: found no list of `cells`")
    taken: set[str] = set()
    return {
        "cells": [_cell(cell, number, name, taken) for number, cell in enumerate(cells)],
        "metadata": _metadata(notebook.get("metadata")),
        "nbformat": _MAJOR,
        "nbformat_minor": _MINOR,
    }


def without_lone_surrogates(text: str) -> str:
    """Return text that can be encoded: lone surrogates become replacement characters."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def _json(content: bytes, name: str) -> Notebook:
    try:
        # Decoded here, because given bytes, `json` would accept encodings that Jupyter does not.
        notebook = json.loads(content.decode("utf-8-sig"))
        if "\\ud" in content.decode("utf-8-sig").lower():
            notebook = json.loads(without_lone_surrogates(json.dumps(notebook, ensure_ascii=False)))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}: is not a notebook, which is JSON in UTF-8: {error}") from None
    if not isinstance(notebook, dict):
        raise UsageError(
            f"{name}: is not a notebook: found a JSON {type(notebook).__name__}, expected an object"
        )
    return notebook


def _upgraded(notebook: Notebook, name: str) -> Notebook:
    # Slow to import, and rarely needed.
    import nbformat

    try:
        return nbformat.convert(nbformat.from_dict(notebook), _MAJOR)
    except Exception as error:  # an old notebook may lack any field that the conversion needs
        raise UsageError(
            f"{name}: cannot be converted from nbformat {notebook['nbformat']}: {error}"
        ) from None


def _metadata(metadata: Any) -> Notebook:
    kept = dict(metadata) if isinstance(metadata, Mapping) else {}
    for key in ("kernelspec", "language_info"):
        if key in kept and not isinstance(kept[key], Mapping):
            del kept[key]
    if "kernelspec" in kept:
        kept["kernelspec"] = {"name": "", "display_name": "", **kept["kernelspec"]}
    if "language_info" in kept:
        kept["language_info"] = {"name": "", **kept["language_info"]}
    return kept


def _cell(cell: Any, number: int, name: str, taken: set[str]) -> Notebook:
    if not isinstance(cell, Mapping) or cell.get("cell_type") not in _FIELDS:
        kind = cell.get("cell_type") if isinstance(cell, Mapping) else cell
        raise UsageError(
            f"{name}: is not a notebook: cell {number + 1} is of the type {kind!r}; expected one of "
            f"{', '.join(_FIELDS)}"
        )
    kept = {field: cell[field] for field in _FIELDS[cell["cell_type"]] if field in cell}
    kept["source"] = _source(cell.get("source"), number, name)
    kept["metadata"] = _cell_metadata(cell.get("metadata"))
    kept["id"] = _identifier(cell.get("id"), number, taken)
    if not isinstance(kept.get("attachments", {}), Mapping):
        del kept["attachments"]
    if cell["cell_type"] == "code":
        kept |= {"outputs": [], "execution_count": None}
    return kept


def _source(source: Any, number: int, name: str) -> str:
    lines = [source] if isinstance(source, str) else source or []
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise UsageError(
            f"{name}: is not a notebook: the source of cell {number + 1} is neither text nor a list of lines"
        )
    return "".join(lines)


def _cell_metadata(metadata: Any) -> Notebook:
    kept = dict(metadata) if isinstance(metadata, Mapping) else {}
    tags = kept.pop("tags", None)
    listed = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return kept | {"tags": list(dict.fromkeys(listed))}


def _identifier(given: Any, number: int, taken: set[str]) -> str:
    identifier = given if isinstance(given, str) and _ID.fullmatch(given) else f"cell-{number}"
    while identifier in taken:
        identifier = f"{identifier[:50]}-{number}"
    taken.add(identifier)
    return identifier
