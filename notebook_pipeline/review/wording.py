"""Readable texts for what the ledger holds: times, durations, counts, verdicts."""

import json
import re
from collections.abc import Mapping
from typing import Any

from notebook_pipeline.number_texts import in_seconds
from notebook_pipeline.review.difference import Change
from notebook_pipeline.review.queries import Run, artefact, seconds
from notebook_pipeline.review.trace import Trace

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def described(run: Run) -> dict[str, Any]:
    """Return a run for JSON output: its ledger row, with parsed parameters, seconds and the full address."""
    row = {name: value for name, value in run.items() if name != "is_lost"}
    return {
        **row,
        "parameters": json.loads(run["parameters"]),
        "seconds": seconds(run),
        "artifact": artefact(run),
    }


def place(run: Run) -> str:
    """Return where a run was started: by hand, or in which DAG run."""
    return run["dag_id"] if run["dag_id"] == "manual" else f"{run['dag_id']} / {run['dag_run_id']}"


def facts(run: Run) -> list[tuple[str, object]]:
    """Return what the ledger knows about a run besides its counts, as names and values."""
    mapped = "" if run["map_index"] < 0 else f", map index {run['map_index']}"
    wrote = run["rows_read"] is not None or run["status"] == "failed"
    written: list[tuple[str, object]] = [
        ("committed", moment(run["committed_at"]) if run["committed_at"] else "nothing"),
        ("watermark", f"{shown(run['watermark_before'])} → {shown(run['watermark_after'])}"),
    ]
    return [
        ("notebook", f"{run['notebook']} ({run['notebook_sha256'][:12]})"),
        ("task", f"{place(run)} / {run['task_id']}{mapped}, try {run['try_number']}"),
        ("dataset", run["dataset"]),
        ("source", run["source"]),
        ("started", moment(run["started_at"])),
        ("seconds", duration(run)),
        *(written if wrote else []),
        ("artefact", artefact(run)),
    ]


def origin(trace: Trace) -> list[tuple[str, object]]:
    """Return where a row comes from, as names and values."""
    if trace.is_foreign:
        return [("written by", "another program, not by a run"), *_since(trace)]
    if trace.run is None:
        return [("run", "no longer in the ledger")]
    run = trace.run
    facts: list[tuple[str, object]] = [
        ("run", run["run_id"]),
        ("when", moment(run["committed_at"] or run["started_at"])),
        ("notebook", run["notebook"]),
        ("source", run["source"]),
        ("artefact", artefact(run)),
    ]
    if trace.extracted_by:
        facts.append(("first read by", f"{trace.extracted_by}, which rejected it"))
    return [*facts, *_since(trace)]


def _since(trace: Trace) -> list[tuple[str, object]]:
    if not trace.confirmed_by:
        return []
    return [("since then", f"the source {trace.confirmed_by} has sent an identical row")]


def growth(change: Change) -> str:
    """Return by how much a number has grown, or an empty text if the value is not a number."""
    numbers = isinstance(change.before, int) and isinstance(change.after, int)
    return f"  ({change.after - change.before:+,})" if numbers else ""  # type: ignore[operator]


def status(run: Run) -> str:
    """Return a run's status, or `lost` if it is `running` but its process no longer exists."""
    return "lost" if run.get("is_lost") else run["status"]


def missing(run: Run) -> str:
    """Return why the executed notebook of a run may be missing."""
    if run["artifact"] is None:
        return "This run was started by hand, so its notebook is the one that was open in JupyterLab."
    if run["status"] == "running":
        return "The notebook has not started yet."
    return "The executed notebook is missing; `notebook-pipeline prune` removes old ones."


def verdict(check: Mapping[str, Any]) -> str:
    """Return `passed`, `warning` or `failed`."""
    if check["passed"]:
        return "passed"
    return "failed" if check["severity"] == "error" else "warning"


def duration(run: Run) -> str:
    """Return the duration of a run in seconds, as text."""
    took = seconds(run)
    return "—" if took is None else in_seconds(took)


def moment(time: str) -> str:
    """Return a time of the ledger (UTC, ISO 8601) in readable form."""
    return f"{time[:10]} {time[11:19]}"


def shown(value: object) -> str:
    """Return a value as text: a dash for nothing, thousands separators, no control characters."""
    if value is None or value == "":
        return "—"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else harmless(str(value))


def harmless(text: str) -> str:
    """Replace control characters, which could move the cursor of a terminal or hide a line."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
