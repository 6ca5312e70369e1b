"""Compare two runs: parameters, source, versions, counts, check values and outputs, not times and ids."""

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from notebook_pipeline.outputs.output_store import Output
from notebook_pipeline.review.artefact_reader import Notebook, read_notebook, run_metadata
from notebook_pipeline.review.queries import Run, read_checks
from notebook_pipeline.running import artefact_metadata
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.row_counts import ROW_COUNTS

# Values that differ between any two runs, and are therefore not compared.
_FLEETING = re.compile(
    r"(?P<run>\b\d{6}-\d{12}[0-9a-f]{2}\b)"
    r"|(?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)"
    r"|(?P<duration>\b\d[\d,.]*\s?(?:ns|µs|us|ms|s|sec|seconds?|minutes?|rows/s)\b)"
    r"|(?P<address>\b0x[0-9a-f]{6,}\b)"
)
_MADE_BY_RUNNER = {artefact_metadata.BANNER_TAG, "injected-parameters"}


@dataclass(frozen=True)
class Reviewed:
    """What is known about one run: its ledger row, its executed notebook (None if missing), its checks."""

    run: Run
    notebook: Notebook | None
    checks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Change:
    """One value that differs; None on the side that lacks it."""

    name: str
    before: object
    after: object


@dataclass(frozen=True)
class CellChange:
    """What differs in one cell: lines as in `diff -u`, and pictures as base64."""

    title: str
    source: Sequence[str]
    output: Sequence[str]
    pictures: Sequence[tuple[str | None, str | None]] = ()


@dataclass(frozen=True)
class Difference:
    """All differences between two runs, section by section."""

    before: Run
    after: Run
    sections: Mapping[str, Sequence[Change]]
    cells: Sequence[CellChange]
    missing: Sequence[str]

    @property
    def is_empty(self) -> bool:
        """Return True if nothing that was compared differs."""
        return not self.cells and not any(self.sections.values())

    def to_json(self) -> dict[str, Any]:
        """Return the differences as JSON types."""
        return {
            "before": self.before["run_id"],
            "after": self.after["run_id"],
            **{name: [asdict(change) for change in changes] for name, changes in self.sections.items()},
            "cells": [asdict(cell) for cell in self.cells],
            "missing": list(self.missing),
        }


def review(database: Database, output: Output, run: Run) -> Reviewed:
    """Return what is known about a run."""
    return Reviewed(run, read_notebook(output, run), read_checks(database, run["run_id"]))


def compare(before: Reviewed, after: Reviewed) -> Difference:
    """Return the differences of the second run from the first."""
    sections = {
        "status": _changes(_picked(before.run, ("status", "error")), _picked(after.run, ("status", "error"))),
        "parameters": _changes(json.loads(before.run["parameters"]), json.loads(after.run["parameters"])),
        "versions": _changes(_versions(before), _versions(after)),
        "counts": _changes(_picked(before.run, _COUNTED), _picked(after.run, _COUNTED)),
        "result": _changes(_result(before), _result(after)),
        "checks": _changes(_measured(before), _measured(after)),
    }
    missing = [side.run["run_id"] for side in (before, after) if side.notebook is None]
    cells = [] if missing else _cell_changes(_cells(before.notebook), _cells(after.notebook))
    return Difference(before.run, after.run, sections, cells, missing)


_COUNTED = (*ROW_COUNTS, "watermark_before", "watermark_after")


def _picked(run: Run, names: Sequence[str]) -> dict[str, object]:
    return {name: _lasting(run[name]) for name in names}


def _lasting(value: object) -> object:
    """Return a text with times and ids masked; return any other value unchanged."""
    return _FLEETING.sub(lambda found: f"‹{found.lastgroup}›", value) if isinstance(value, str) else value


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[Change]:
    names = [*before, *(name for name in after if name not in before)]
    pairs = [Change(name, before.get(name), after.get(name)) for name in names]
    return [change for change in pairs if change.before != change.after]


def _versions(side: Reviewed) -> dict[str, object]:
    found = run_metadata(side.notebook)
    versions = found.get("versions")
    return {
        "notebook's SHA-256": side.run["notebook_sha256"][:12],
        "git commit": found.get("git_commit"),
        **(versions if isinstance(versions, dict) else {}),
    }


def _result(side: Reviewed) -> dict[str, object]:
    """Return the notebook's own result without the counts that are in the ledger."""
    result = run_metadata(side.notebook).get("result")
    named = result if isinstance(result, dict) else {}
    return {name: _lasting(value) for name, value in named.items() if name not in _COUNTED}


def _measured(side: Reviewed) -> dict[str, object]:
    return {
        check["check_name"]: ("passed" if check["passed"] else "failed")
        + (f", {_lasting(check['measured'])}" if check["measured"] is not None else "")
        for check in side.checks
    }


def _cells(notebook: Notebook | None) -> list[Mapping[str, Any]]:
    cells = (notebook or {}).get("cells", [])
    return [cell for cell in cells if not set(cell["metadata"].get("tags", ())) & _MADE_BY_RUNNER]


def _cell_changes(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[CellChange]:
    """Pair the cells of two notebooks by their source, and compare each pair."""
    matcher = difflib.SequenceMatcher(
        None, [cell["source"] for cell in before], [cell["source"] for cell in after], autojunk=False
    )
    pairs = [pair for _, a, b, c, d in matcher.get_opcodes() for pair in zip_longest(before[a:b], after[c:d])]
    changed = []
    heading = "first cells"
    for old, new in pairs:
        heading = _heading(new or old) or heading
        change = _cell_change(heading, old or _NOTHING, new or _NOTHING)
        changed += [change] if change else []
    return changed


_NOTHING: Mapping[str, Any] = {"cell_type": "code", "source": "", "outputs": []}


def _cell_change(heading: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> CellChange | None:
    source = _line_changes(old["source"], new["source"])
    output = _output_changes(_output_text(old), _output_text(new))
    pairs = zip_longest(_pictures(old), _pictures(new))
    pictures = tuple(pair for pair in pairs if _digest(pair[0]) != _digest(pair[1]))
    return CellChange(heading, source, output, pictures) if source or output or pictures else None


def _line_changes(before: str, after: str) -> list[str]:
    if before == after:
        return []
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]


def _output_changes(before: str, after: str) -> list[str]:
    return [] if before == after else _line_changes(str(_lasting(before)), str(_lasting(after)))


def _heading(cell: Mapping[str, Any]) -> str | None:
    lines = cell["source"].splitlines() if cell["cell_type"] == "markdown" else []
    return next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), None)


def _output_text(cell: Mapping[str, Any]) -> str:
    return "\n".join(_plain(output) for output in cell["outputs"])


def _plain(output: Mapping[str, Any]) -> str:
    if output["output_type"] == "stream":
        return output["text"].rstrip("\n")
    if output["output_type"] == "error":
        return f"{output.get('ename')}: {output.get('evalue')}"
    plain = str(output["data"].get("text/plain", ""))
    # Some pictures come with a description, others only with a repr such as <Figure>.
    return "" if _PICTURE in output["data"] and plain.startswith("<") else plain


_PICTURE = "image/png"


def _pictures(cell: Mapping[str, Any]) -> list[str]:
    return [output["data"][_PICTURE] for output in cell["outputs"] if _PICTURE in output["data"]]


def _digest(picture: str | None) -> str | None:
    return hashlib.sha256(picture.encode()).hexdigest() if picture else None
