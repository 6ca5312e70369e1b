"""Whoever watches a run gets one line a cell, and its prints as they come."""

import pytest

from notebook_pipeline.running import run_lines
from notebook_pipeline.running.run_lines import ProgressLine, Reporter


def test_prints_come_line_by_line_and_the_rest_with_the_end_of_the_cell() -> None:
    said: list[str] = []
    reporter = Reporter(said.append, 2)
    reporter.printed("stdout", "one\ntw")
    assert said == ["    one"]
    reporter.printed("stderr", "warning\n")
    reporter.printed("stdout", "o\n\nrest")
    assert said == ["    one", "    warning", "    two", "    "]
    reporter.cell_done("Read the file", 1.234, failed=False)
    reporter.cell_done("Merge", 0.0, failed=True)
    assert said[4:] == ["    rest", "[1/2] Read the file: done in 1.2 s", "[2/2] Merge: failed after 0.0 s"]


def test_a_bar_that_redraws_itself_is_its_last_state_without_colours() -> None:
    said: list[str] = []
    reporter = Reporter(said.append, 1)
    reporter.printed("stderr", "\r 10%\r\x1b[31m100%\x1b[0m\r\n")
    reporter.raised(["\x1b[0;31mValueError\x1b[0m\nin line 1", "ValueError: no"])
    assert said == ["    100%", "    ValueError", "    in line 1", "    ValueError: no"]


def test_progress_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(run_lines.time, "monotonic", lambda: clock[0])
    said: list[str] = []
    reporter = Reporter(said.append, 1)
    for second in range(12):
        clock[0] = float(second)
        reporter.progressed(f"{second} rows", {"done": second, "total": 20})
    reporter.cell_done("Merge", 12, failed=False)
    reporter.progressed("0 pages", {})
    assert said == ["    5 rows", "    10 rows", "[1/1] Merge: done in 12.0 s"]
    assert [(type(line), line.share) for line in said if isinstance(line, ProgressLine)] == [
        (ProgressLine, 0.25),
        (ProgressLine, 0.5),
    ]


@pytest.mark.parametrize(
    "state", [{}, None, {"done": 1, "total": None}, {"done": 1, "total": 0}, {"done": "x", "total": 1}]
)
def test_progress_towards_an_unknown_whole_has_no_share(state: object) -> None:
    said: list[str] = []
    Reporter(said.append, 1, progress_seconds=0).progressed("7 pages", state)
    assert said == ["    7 pages"]
    assert isinstance(said[0], ProgressLine)
    assert said[0].share is None


def test_of_a_flood_only_the_first_lines_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lines, "MOST_LINES", 2)
    said: list[str] = []
    reporter = Reporter(said.append, 2)
    reporter.printed("stdout", "1\n2\n3\n4\nrest")
    reporter.cell_done("Flood", 0.0, failed=False)
    reporter.printed("stdout", "5\n")
    reporter.cell_done("Next", 0.0, failed=False)
    flood = ["    1", "    2", "    … 3 more lines, see the executed notebook", "[1/2] Flood: done in 0.0 s"]
    assert said == [*flood, "    5", "[2/2] Next: done in 0.0 s"]
