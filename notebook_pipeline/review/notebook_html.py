"""Convert the cells of an executed notebook into HTML without active content."""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mistune
from markupsafe import Markup
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.python import PythonLexer

from notebook_pipeline.number_texts import counted
from notebook_pipeline.review.artefact_reader import Notebook
from notebook_pipeline.review.sanitise import clean_html
from notebook_pipeline.running import artefact_metadata

_PICTURES = ("image/png", "image/jpeg", "image/svg+xml")
_TEXT_LIMIT = 100_000
_HTML_LIMIT = 1_000_000
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")

_LEXER = PythonLexer(stripnl=False)
_FORMATTER = HtmlFormatter(nowrap=True, classprefix="hl-")
_markdown = mistune.create_markdown(escape=False, plugins=["table", "strikethrough"])


@dataclass(frozen=True)
class Output:
    """One output; `kind` is text, error, html, picture or note, `content` is what is shown."""

    kind: str
    content: str | Markup
    alt: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell as it is shown; `state` and `seconds` describe its execution, if there was one."""

    kind: str
    content: Markup
    count: int | None = None
    state: str = ""
    seconds: float | None = None
    label: str = ""
    outputs: tuple[Output, ...] = ()


def render_cells(notebook: Notebook) -> list[Cell]:
    """Return the cells of a notebook, ready to be shown."""
    return [_cell(cell) for cell in notebook["cells"]]


def current(cells: list[Cell]) -> int | None:
    """Return the index of the cell to show first: the failed one, or else the running one."""
    for state in (artefact_metadata.FAILED, artefact_metadata.RUNNING):
        for index, cell in enumerate(cells):
            if cell.state == state:
                return index
    return None


def _cell(cell: Mapping[str, Any]) -> Cell:
    tags = cell["metadata"].get("tags", [])
    if cell["cell_type"] == "markdown":
        kind = "banner" if artefact_metadata.BANNER_TAG in tags else "markdown"
        if artefact_metadata.EARLY_END_TAG in tags:
            kind = "banner early"
        return Cell(kind, render_markdown(cell["source"]))
    if cell["cell_type"] != "code":
        return Cell("raw", Markup.escape(cell["source"]))
    state = cell["metadata"].get("papermill", {})
    return Cell(
        "code",
        render_code(cell["source"]),
        cell.get("execution_count"),
        state.get("status") or "",
        state.get("duration"),
        _label(tags),
        tuple(_outputs(cell)),
    )


def _label(tags: list[str]) -> str:
    if "injected-parameters" in tags:
        return "given parameters"
    return "parameters" if "parameters" in tags else ""


def _outputs(cell: Mapping[str, Any]) -> Iterator[Output]:
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            yield Output("error" if output.get("name") == "stderr" else "text", _plain(output["text"]))
        elif output["output_type"] == "error":
            yield Output("error", _plain("\n".join(output.get("traceback") or [output.get("evalue", "")])))
        else:
            yield _displayed(output["data"])


def _displayed(data: Mapping[str, Any]) -> Output:
    """Return the richest representation that can be shown; scripts and unknown types are only named."""
    plain = str(data.get("text/plain", ""))
    for kind in _PICTURES:
        if kind in data and (picture := _picture(kind, data[kind])):
            return Output("picture", picture, "" if plain.startswith("<") else plain)
    if isinstance(data.get("text/html"), str) and len(data["text/html"]) <= _HTML_LIMIT:
        return Output("html", clean_html(data["text/html"]))
    if isinstance(data.get("text/markdown"), str):
        return Output("html", render_markdown(data["text/markdown"]))
    if plain:
        return Output("text", _plain(plain))
    return Output("note", f"{', '.join(data) or 'nothing'}: not shown here, see the .ipynb")


def _picture(kind: str, content: Any) -> str | None:
    if not isinstance(content, str):
        return None
    if kind == "image/svg+xml":
        # An SVG shown as an image cannot run scripts.
        return f"data:{kind};base64,{b64encode(content.encode()).decode()}"
    return f"data:{kind};base64,{''.join(content.split())}" if _BASE64.fullmatch(content) else None


def _plain(text: str) -> str:
    plain = _ANSI.sub("", text)
    left = len(plain) - _TEXT_LIMIT
    return (
        plain if left <= 0 else f"{plain[:_TEXT_LIMIT]}\n… {counted(left, 'more character')}, see the .ipynb"
    )


@lru_cache(2048)
def render_markdown(source: str) -> Markup:
    """Return Markdown as HTML, with any HTML inside it sanitised."""
    return clean_html(str(_markdown(source)))


@lru_cache(2048)
def render_code(source: str) -> Markup:
    """Return Python source as HTML with syntax classes for the style sheet."""
    return Markup(highlight(source, _LEXER, _FORMATTER).rstrip("\n"))  # noqa: S704
