"""Know what an executed notebook says of its run: its metadata, the state of each cell, the banner on top.

Works on notebooks as plain JSON, so that whoever finds a lost run can set it right without Jupyter.
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
# What papermill calls a cell that waits, runs, is done or raised; the last is ours.
PENDING, RUNNING, COMPLETED, FAILED = "pending", "running", "completed", "failed"
NOT_RUN = "not run"

_TITLE_LENGTH = 80

Notebook = dict[str, Any]


@dataclass(frozen=True)
class LastWord:
    """Say how a run ended: `status` is success or failed, `about` is what joins the metadata."""

    status: str
    error: str | None = None
    ended: datetime = field(default_factory=lambda: datetime.now(UTC))
    about: Mapping[str, Any] = field(default_factory=dict)


def close(notebook: Notebook, last_word: LastWord) -> None:
    """Write the last word on a run.

    The cell that was running, or failed, is the guilty one; what comes after it was not run.
    """
    failed, ended = last_word.status == FAILED, last_word.ended
    guilty = _guilty(notebook) if failed else None
    ended_early = last_word.about.get("ended_early")
    _settle_cells(notebook, failed=failed, ended_early=bool(ended_early))
    papermill = notebook["metadata"].setdefault("papermill", {})
    papermill |= {"end_time": ended.isoformat(), "exception": failed or None}
    papermill["duration"] = _seconds(papermill.get("start_time"), ended)
    about = notebook["metadata"].setdefault(KEY, {})
    about |= {**last_word.about, "status": last_word.status, "error": last_word.error}
    if failed:
        about["failed_cell"] = guilty and guilty["id"]
        notebook["cells"].insert(0, _banner(notebook, guilty, last_word))
    elif ended_early:
        reason = _escaped(str(ended_early))
        text = f"**This run ended early**, with success: {reason}. The cells that followed were not run."
        notebook["cells"].insert(0, _banner_cell([text], EARLY_END_TAG))


def without_banner(notebook: Notebook) -> Notebook:
    """Return the notebook without what an earlier run wrote on top of it."""
    notebook["cells"] = [cell for cell in notebook["cells"] if BANNER_TAG not in _tags(cell)]
    return notebook


def headings(notebook: Notebook) -> Iterator[str]:
    """Return each cell's title: that of the text before it, or the first line of its code."""
    above = ""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            yield _code_title(cell, above)
            above = "" if _source(cell).strip() else above
        else:
            above = _text_title(_source(cell)) or above
            yield above


def _guilty(notebook: Notebook) -> dict[str, Any] | None:
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


def _banner(notebook: Notebook, guilty: dict[str, Any] | None, last_word: LastWord) -> dict[str, Any]:
    when = f"{last_word.ended.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    error = last_word.error or ""
    lines = [f"**This run failed** at {when}, {_place(notebook, guilty)}."]
    # Indented, so that nothing in an error's text is taken for markup.
    lines += ["", *(f"    {line}" for line in (error.splitlines() or ["no cause is known"]))]
    if guilty:
        lines += ["", "Cells before it are completed, cells after it were not run."]
    return _banner_cell(lines)


def _banner_cell(lines: Sequence[str], *tags: str) -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "id": "notebook-pipeline-banner",
        "metadata": {"tags": [BANNER_TAG, *tags]},
        "source": "\n".join(lines).splitlines(keepends=True),
    }


def _place(notebook: Notebook, guilty: dict[str, Any] | None) -> str:
    if guilty is None:
        states = {_papermill(cell).get("status") for cell in notebook["cells"]}
        if COMPLETED not in states:
            return "before its first cell"
        return "between two cells" if NOT_RUN in states else "after its last cell"
    titles = dict(zip((cell["id"] for cell in notebook["cells"]), headings(notebook), strict=True))
    title = _escaped(titles[guilty["id"]])
    count = guilty.get("execution_count")
    return f"in the cell “{title}”" + (f" (In [{count}])" if count else "")


def _escaped(text: str) -> str:
    """Return text of which nothing is taken for markup."""
    return re.sub(r"([\\`*_\[\]<>$])", r"\\\1", text)


def _code_title(cell: dict[str, Any], above: str) -> str:
    if "injected-parameters" in _tags(cell):
        return "Given parameters"
    if "parameters" in _tags(cell):
        return above or "Parameters"
    return above or _cut(next((line for line in _source(cell).splitlines() if line.strip()), ""))


def _text_title(source: str) -> str:
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    titles = [line.lstrip("#").strip() for line in lines if re.match(r"#{1,6}\s", line)]
    title = titles[-1] if titles else lines[0] if lines else ""
    return _cut(html.unescape(title).rstrip(".:"))


def _cut(title: str) -> str:
    return title if len(title) <= _TITLE_LENGTH else f"{title[: _TITLE_LENGTH - 1].rstrip()}…"


def _source(cell: dict[str, Any]) -> str:
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def _tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])


def _papermill(cell: dict[str, Any]) -> dict[str, Any]:
    return cell["metadata"].get("papermill", {})


def _seconds(began: str | None, ended: datetime) -> float | None:
    return (ended - datetime.fromisoformat(began)).total_seconds() if began else None
