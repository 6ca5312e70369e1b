"""The ledger as tables and pictures for people's notebooks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from story import ADA, API, BO, Story

from notebook_pipeline.review import frames
from notebook_pipeline.review.queries import list_runs
from notebook_pipeline.review.trace import trace_row


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    told = Story(tmp_path)
    told.run(rows=[ADA, BO])
    told.run("api_incremental_update", rows=[ADA, {**BO, "position": "WR"}], origin=API)
    checked = told.run("data_quality", status="failed", error="DataRefused: ids repeat")
    # Checking commits its results, but reads no rows.
    told.database.execute("UPDATE pipeline_run SET committed_at = finished_at WHERE run_id = ?", [checked])
    told.check(checked, "ids are unique", passed=False, measured="3 rows")
    told.check(checked, "is fresh", passed=False, severity="warn", measured="9 days")
    told.check(checked, "has rows", passed=True)
    yield told
    told.close()


def test_runs_are_told_in_the_order_in_which_they_ran(story: Story) -> None:
    assert frames.ran(list_runs(story.database))[["notebook", "status"]].values.tolist() == [
        ["bulk_load", "success"],
        ["api_incremental_update", "success"],
        ["data_quality", "failed"],
    ]


def test_changes_are_those_of_runs_that_committed(story: Story) -> None:
    assert frames.changed(list_runs(story.database)).values.tolist() == [
        ["bulk_load", 2, 2, 0, 0, 0, 0, 0],
        ["api_incremental_update", 2, 0, 1, 1, 0, 0, 0],
    ]


def test_failures_are_runs_and_checks_with_their_cause(story: Story) -> None:
    assert frames.failed(story.database, list_runs(story.database)).values.tolist() == [
        ["data_quality", "player", "failed", "DataRefused: ids repeat"],
        ["data_quality", "player", "failed", "ids are unique: 3 rows"],
        ["data_quality", "player", "warning", "is fresh: 9 days"],
    ]


def test_durations_are_in_seconds(story: Story) -> None:
    table = frames.took(list_runs(story.database))
    assert table["notebook"].tolist() == ["bulk_load", "api_incremental_update", "data_quality"]
    assert min(table["seconds"].tolist()) >= 0


def test_the_picture_says_in_a_sentence_what_changed(story: Story) -> None:
    picture = frames.plot_changed(list_runs(story.database))
    [axes] = picture.figure.axes
    widths = [[patch.get_width() for patch in bars] for bars in axes.containers]  # type: ignore[union-attr]
    assert repr(picture) == "2 runs added 2 rows and changed 1"
    assert widths == [[2, 0], [0, 1], [0, 1], [0, 0], [0, 0]]
    assert repr(frames.plot_changed([])) == "No run has changed the data"


def test_the_origin_of_a_row_is_a_table(story: Story) -> None:
    origin = frames.origin(trace_row(story.database, "player", "1"))
    assert origin.loc["notebook", "value"] == "bulk_load"
    assert origin.loc["since then", "value"] == "the source api has sent an identical row"
    assert frames.origin(None).empty
