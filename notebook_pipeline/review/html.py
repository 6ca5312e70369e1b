"""The HTML templates: every value escaped, no script, no external resource."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from notebook_pipeline.number_texts import counted, in_seconds
from notebook_pipeline.outputs.file_names import safe_file_name
from notebook_pipeline.review import wording
from notebook_pipeline.review.notebook_html import Cell, current
from notebook_pipeline.review.queries import Run
from notebook_pipeline.storage.row_counts import ROW_COUNTS, short_name

TEMPLATES = Path(__file__).with_name("templates")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

_EXCERPT = 300


def render(template: str, **values: Any) -> str:
    """Return a template filled with the values."""
    return environment().get_template(template).render(values)


def index_file(number: int) -> str:
    """Return the file name of an index page; the first is number 1."""
    return "index.html" if number == 1 else f"index-{number}.html"


@cache
def templates_digest() -> str:
    """Return a digest of the templates and code, which decides which pages must be written again."""
    files = sorted([*TEMPLATES.iterdir(), *Path(__file__).parent.glob("*.py")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


@cache
def environment() -> Environment:
    """Return the Jinja environment with this project's globals and filters."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (TEMPLATES / "review.css").read_text(encoding="utf-8")
    made.globals |= {"policy": POLICY, "style": Markup(style), "count_names": ROW_COUNTS, "theme": ""}  # noqa: S704
    made.filters |= {
        "counted": counted,
        "current": current,
        "duration": wording.duration,
        "excerpt": _excerpt,
        "facts": wording.facts,
        "file": safe_file_name,
        "growth": wording.growth,
        "index_file": index_file,
        "moment": wording.moment,
        "parameters": _parameters,
        "place": wording.place,
        "png": "data:image/png;base64,{}".format,
        "short": short_name,
        "shown": wording.shown,
        "state": _state,
        "status": wording.status,
        "verdict": wording.verdict,
    }
    return made


def _excerpt(text: str) -> str:
    shown = wording.shown(text)
    return shown if len(shown) <= _EXCERPT else f"{shown[:_EXCERPT]}…"


def _parameters(run: Run) -> list[tuple[str, object]]:
    return list(json.loads(run["parameters"]).items())


def _state(cell: Cell) -> str:
    """Return the duration of a completed cell, or the state of any other."""
    if cell.state == "completed" and cell.seconds is not None:
        return f"{in_seconds(cell.seconds)} s"
    return cell.state
