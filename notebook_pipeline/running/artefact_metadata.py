"""What an executed notebook records about its run: metadata, the state of each cell, a banner at the top.

Works on notebooks as plain JSON, so that the artefact of a lost run can be completed without Jupyter.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

KEY = "notebook_pipeline"
BANNER_TAG = "notebook-pipeline-banner"
EARLY_END_TAG = "notebook-pipeline-early-end"
# papermill's names for the states of a cell. NOT_RUN is our own.
PENDING, RUNNING, COMPLETED, FAILED = "pending", "running", "completed", "failed"
NOT_RUN = "not run"

_TITLE_LENGTH = 80

Notebook = dict[str, Any]


@dataclass(frozen=True)
class LastWord:
    """How a run ended: `status` is success or failed, `about` is added to the metadata."""

    status: str
    error: str | None = None
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))
    about: Mapping[str, Any] = field(default_factory=dict)


def close(notebook: Notebook, last_word: LastWord) -> None:
    """Write into a notebook how its run ended.

    If the run failed, the failed cell is the one with an error, or else the one that was running. The cells
    after it are marked as not run.
    """
    failed, ended = last_word.status == FAILED, last_word.ended
    failed_cell = _find_failed_cell(notebook) if failed else None
    ended_early = last_word.about.get("ended_early")
    _settle_cells(notebook, failed=failed, ended_early=bool(ended_early))
    papermill = notebook["metadata"].setdefault("papermill", {})
    papermill |= {"end_time": ended.isoformat(), "exception": failed or None}
    papermill["duration"] = _seconds(papermill.get("start_time"), ended)
    about = notebook["metadata"].setdefault(KEY, {})
    about |= {**last_word.about, "status": last_word.status, "error": last_word.error}
    if failed:
        about["failed_cell"] = failed_cell and failed_cell["id"]
        notebook["cells"].insert(0, _banner(notebook, failed_cell, last_word))
    elif ended_early:
        reason = _escaped(str(ended_early))
        text = f"**This run ended early**, with success: {reason}. The cells that followed were not run."
        notebook["cells"].insert(0, _banner_cell([text], EARLY_END_TAG))


def without_banner(notebook: Notebook) -> Notebook:
    """Return the notebook without the banner of an earlier run."""
    notebook["cells"] = [cell for cell in notebook["cells"] if BANNER_TAG not in _tags(cell)]
    return notebook


def headings(notebook: Notebook) -> Iterator[str]:
    """Yield each cell's title: the heading of the text before it, or the first line of its code."""
    above = ""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            yield _code_title(cell, above)
            above = "" if _source(cell).strip() else above
        else:
            above = _text_title(_source(cell)) or above
            yield above


def _find_failed_cell(notebook: Notebook) -> dict[str, Any] | None:
    for wanted in (FAILED, RUNNING):
        for cell in notebook["cells"]:
            if _papermill(cell).get("status") == wanted:
                return cell
    return None


def _settle_cells(notebook: Notebook, *, failed: bool, ended_early: bool) -> None:
    final = {PENDING: NOT_RUN if failed or ended_early else COMPLETED}
    if failed:
        final[RUNNING] = FAILED
    for cell in notebook["cells"]:
        state = _papermill(cell)
        if state.get("status") == RUNNING and failed:
            state["exception"] = True
        if state.get("status") in final:
            state["status"] = final[state["status"]]


def _banner(notebook: Notebook, failed_cell: dict[str, Any] | None, last_word: LastWord) -> dict[str, Any]:
    when = f"{last_word.ended.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    error = last_word.error or ""
    lines = [f"**This run failed** at {when}, {_place(notebook, failed_cell)}."]
    # Indented as a code block, so that Markdown in the error is not rendered.
    lines += ["", *(f"    {line}" for line in (error.splitlines() or ["no error message was recorded"]))]
    if failed_cell:
        lines += ["", "Cells before it are completed, cells after it were not run."]
    return _banner_cell(lines)


def _banner_cell(lines: Sequence[str], *tags: str) -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "id": "notebook-pipeline-banner",
        "metadata": {"tags": [BANNER_TAG, *tags]},
        "source": "\n".join(lines).splitlines(keepends=True),
    }


def _place(notebook: Notebook, failed_cell: dict[str, Any] | None) -> str:
    if failed_cell is None:
        states = {_papermill(cell).get("status") for cell in notebook["cells"]}
        if COMPLETED not in states:
            return "before its first cell"
        return "between two cells" if NOT_RUN in states else "after its last cell"
    titles = dict(zip((cell["id"] for cell in notebook["cells"]), headings(notebook), strict=True))
    title = _escaped(titles[failed_cell["id"]])
    count = failed_cell.get("execution_count")
    return f"in the cell “{title}”" + (f" (In [{count}])" if count else "")


def _escaped(text: str) -> str:
    """Return text with the special characters of Markdown escaped."""
    return re.sub(r"([\\`*_\[\]<>$])", r"\\\1", text)


def _code_title(cell: dict[str, Any], above: str) -> str:
    if "injected-parameters" in _tags(cell):
        return "Given parameters"
    if "parameters" in _tags(cell):
        return above or "Parameters"
    return above or _shortened(next((line for line in _source(cell).splitlines() if line.strip()), ""))


def _text_title(source: str) -> str:
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    titles = [line.lstrip("#").strip() for line in lines if re.match(r"#{1,6}\s", line)]
    title = titles[-1] if titles else lines[0] if lines else ""
    return _shortened(html.unescape(title).rstrip(".:"))


def _shortened(title: str) -> str:
    return title if len(title) <= _TITLE_LENGTH else f"{title[: _TITLE_LENGTH - 1].rstrip()}…"


def _source(cell: dict[str, Any]) -> str:
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def _tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])


def _papermill(cell: dict[str, Any]) -> dict[str, Any]:
    return cell["metadata"].get("papermill", {})


def _seconds(began: str | None, ended: datetime) -> float | None:
    return (ended - datetime.fromisoformat(began)).total_seconds() if began else None
