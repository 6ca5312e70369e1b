"""What differs between two runs, and what never counts as a difference."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from databases import on_each
from nbformat import v4
from story import ADA, BO, Story, code, printed, shown

from notebook_pipeline.outputs.folder import Folder
from notebook_pipeline.review import queries
from notebook_pipeline.review.difference import CellChange, Change, Difference, compare, review
from notebook_pipeline.running import artefact_metadata

pytestmark = pytest.mark.only("sqlite")


@pytest.fixture
def story(each_database: str, tmp_path: Path) -> Iterator[Story]:
    told = Story(tmp_path)
    yield told
    told.close()


def difference(story: Story, before: str, after: str) -> Difference:
    sides = [queries.find_run(story.database, run_id) for run_id in (before, after)]
    return compare(*(review(story.database, Folder(story.output), run) for run in sides))


def cells(story: Story, before: Sequence[Any], after: Sequence[Any]) -> Sequence[CellChange]:
    return difference(story, story.run(cells=before), story.run(cells=after)).cells


def test_two_runs_that_did_the_same_do_not_differ(story: Story) -> None:
    heading = v4.new_markdown_cell("# Load")
    outputs = (
        "run 240301-0000010000000a took 1.25 s (8,123 rows/s)",
        "run 250711-101112131415ef took 31.5 s (912,345.6 rows/s)",
        "at 2024-03-01T10:00:00+00:00, object at 0x7f5c3a1b",
        "at 2025-07-11 11:12:13.5Z, object at 0xdeadbeef00",
    )
    before = story.run(cells=[heading, code("load()", printed(outputs[0])), code("x", printed(outputs[2]))])
    after = story.run(cells=[heading, code("load()", printed(outputs[1])), code("x", printed(outputs[3]))])
    found = difference(story, before, after)
    assert found.is_empty, found


@on_each
def test_parameters_counts_status_and_results_are_compared_by_name(story: Story) -> None:
    first = {
        "versions": {"pandas": "2.0"},
        "git_commit": "aaa",
        "result": {"verdict": "good", "rows_read": 1},
    }
    second = {
        "versions": {"pandas": "2.1"},
        "git_commit": "aaa",
        "result": {"verdict": "bad", "rows_read": 2},
    }
    before = story.run(parameters={"dataset": "player", "force": False}, rows=[ADA], cells=[], metadata=first)
    after = story.run(
        parameters={"dataset": "player", "since": "2024-01-01"},
        rows=[ADA, BO],
        cells=[],
        metadata=second,
        status="failed",
        error="run 240301-0000010000000a broke",
    )
    found = difference(story, before, after)
    assert found.sections == {
        "status": [
            Change("status", "success", "failed"),
            Change("error", None, "run ‹run› broke"),
        ],
        "parameters": [Change("force", False, None), Change("since", None, "2024-01-01")],
        "versions": [Change("pandas", "2.0", "2.1")],
        "counts": [
            Change("rows_read", 1, 2),
            Change("rows_unchanged", 0, 1),
            Change("watermark_before", None, "2024-01-01"),
        ],
        "result": [Change("verdict", "good", "bad")],
        "checks": [],
    }
    assert not found.is_empty


@on_each
def test_check_values_are_compared(story: Story) -> None:
    before, after = story.run(), story.run()
    story.check(before, "ids are unique", passed=True)
    story.check(after, "ids are unique", passed=False, measured="3 rows")
    story.check(after, "is fresh", passed=False, severity="warn", measured="9 days")
    assert difference(story, before, after).sections["checks"] == [
        Change("ids are unique", "passed, 0", "failed, 3 rows"),
        Change("is fresh", None, "failed, 9 days"),
    ]


def test_source_and_output_of_a_changed_cell_are_shown_line_by_line(story: Story) -> None:
    heading = v4.new_markdown_cell("## Read\n\nRead it.")
    before = [heading, code("a = 1\nprint(a)", printed("1\n--\nend\n")), code("same()", printed("x"))]
    after = [heading, code("a = 2\nprint(a)", printed("2\n-+\nend\n")), code("same()", printed("x"))]
    assert cells(story, before, after) == [
        CellChange(
            "Read",
            ["@@ -1,2 +1,2 @@", "-a = 1", "+a = 2", " print(a)"],
            ["@@ -1,3 +1,3 @@", "-1", "---", "+2", "+-+", " end"],
        )
    ]


def test_a_cell_that_came_or_went_is_compared_with_nothing(story: Story) -> None:
    kept = code("kept()", printed("k"))
    added = cells(story, [kept], [kept, code("more()", printed("m"))])
    removed = cells(story, [code("less()"), kept], [kept])
    assert added == [CellChange("first cells", ["@@ -0,0 +1 @@", "+more()"], ["@@ -0,0 +1 @@", "+m"])]
    assert removed == [CellChange("first cells", ["@@ -1 +0,0 @@", "-less()"], [])]


def test_a_time_in_the_source_is_no_timing(story: Story) -> None:
    [change] = cells(story, [code("wait('3 s')")], [code("wait('4 s')")])
    assert change.source == ["@@ -1 +1 @@", "-wait('3 s')", "+wait('4 s')"]


def test_pictures_differ_by_their_bytes(story: Story) -> None:
    before = code("plot()", shown(image_png="QUJD", text_plain="<Figure size 1>"))
    after = code("plot()", shown(image_png="REVG", text_plain="<Figure size 2>"))
    assert cells(story, [before], [after]) == [CellChange("first cells", [], [], (("QUJD", "REVG"),))]
    assert cells(story, [before], [before]) == []


def test_an_error_is_compared_by_its_message_not_its_traceback(story: Story) -> None:
    first = v4.new_output("error", ename="ValueError", evalue="3 rows", traceback=["line 7"])
    second = v4.new_output("error", ename="ValueError", evalue="4 rows", traceback=["line 8"])
    again = v4.new_output("error", ename="ValueError", evalue="3 rows", traceback=["line 9"])
    assert cells(story, [code("x", first)], [code("x", second)]) == [
        CellChange("first cells", [], ["@@ -1 +1 @@", "-ValueError: 3 rows", "+ValueError: 4 rows"])
    ]
    assert cells(story, [code("x", first)], [code("x", again)]) == []


def test_what_the_runner_wrote_into_the_notebook_is_left_out(story: Story) -> None:
    banner = v4.new_markdown_cell("**failed**", metadata={"tags": [artefact_metadata.BANNER_TAG]})
    injected = code("source = 'b.csv'", tags=["injected-parameters"])
    assert cells(story, [code("x")], [banner, injected, code("x")]) == []


def test_a_missing_notebook_is_named_instead_of_compared(story: Story) -> None:
    before, after = story.run(), story.run(cells=[code("x")])
    found = difference(story, before, after)
    assert (found.missing, found.cells) == ([before], [])
