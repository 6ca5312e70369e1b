"""Make tiny notebooks for tests."""

import json
from pathlib import Path
from typing import Any

import nbformat.v4 as v4


def parameters(source: str) -> Any:
    """Return a parameters cell."""
    return v4.new_code_cell(source, metadata={"tags": ["parameters"]})


def write(path: Path, *cells: Any) -> Path:
    """Write a notebook of these cells, plain text being code; a text that begins with # is markdown."""
    made = [_cell(cell) for cell in cells]
    book = v4.new_notebook(
        cells=made,
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(book))
    return path


def _cell(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    return v4.new_markdown_cell(cell) if cell.startswith("#") else v4.new_code_cell(cell)


def says(**data: Any) -> str:
    """Return the code of a cell that returns a result."""
    bundle = {"application/vnd.notebook-pipeline.result+json": data}
    return f"from IPython.display import display\ndisplay({bundle!r}, raw=True)"
