"""What is kept and shown of a run of all checks, and its verdict."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import parts
import pytest
from parts import (
    GOOD,
    SECOND,
    check,
    fill,
    part,
    start,
)

from notebook_pipeline import checks
from notebook_pipeline.checks.results_table import show_failing_rows, show_results
from notebook_pipeline.declare.row_conditions import Glob, NotNull
from notebook_pipeline.declare.rules_and_checks import EveryRow, Fresh, RowCount
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with parts.opened(tmp_path) as database:
        yield database


def test_results_are_stored_once(database: Database) -> None:
    fill(database, GOOD)
    report = check(database, RowCount(low=9), EveryRow(NotNull("weight"), "warn"))
    start(database, SECOND, "data_quality", scope="table")
    checks.save(database, SECOND, report)
    checks.save(database, SECOND, report)
    assert database.execute("SELECT * FROM quality_result") == [
        (SECOND, "part", "number of rows", "error", 0, "3 rows", "at least 9 rows", None, 3, None),
        (
            SECOND,
            "part",
            "weight is not null",
            "warn",
            0,
            "1 of 3 rows failed",
            "a value in every row",
            json.dumps([part(GOOD[2])]),
            1,
            None,
        ),
    ]
    row = ledger.get_run(database, SECOND)
    assert row["committed_at"]
    assert row["rows_read"] is None


def test_the_verdict_names_what_failed(database: Database) -> None:
    fill(database, GOOD)
    report = check(
        database, RowCount(low=9), EveryRow(NotNull("weight")), Fresh(0, "warn"), EveryRow(NotNull("kind"))
    )
    assert report.summary() == {
        "verdict": "failed",
        "checks": 4,
        "failed": ["number of rows", "weight is not null"],
        "warnings": ["newest change is recent"],
    }
    with pytest.raises(DataRefused) as refused:
        report.refuse_failed()
    assert str(refused.value).splitlines() == [
        "part: 2 of 4 checks failed",
        "- number of rows: measured 3 rows; expected at least 9 rows",
        "- weight is not null: measured 1 of 3 rows failed; expected a value in every row",
        "    " + json.dumps(part(GOOD[2])),
    ]


def test_warnings_do_not_refuse_the_data(database: Database) -> None:
    fill(database, GOOD)
    report = check(database, RowCount(low=9, severity="warn"))
    report.refuse_failed()
    assert report.summary() == {
        "verdict": "passed",
        "checks": 1,
        "failed": [],
        "warnings": ["number of rows"],
    }


def test_the_table_of_results_says_the_outcome_in_icon_and_word(database: Database) -> None:
    fill(database, [(1, "<b>", "nut", None, 7, "2024-03-09")])
    report = check(database, RowCount(), Fresh(0, "warn"), EveryRow(Glob("code", "A*")))
    shown = show_results(report)
    late = "at most 0 days before 2024-03-10"
    assert [re.split(" {2,}", line) for line in repr(shown).splitlines()] == [
        ["outcome", "check", "measured", "expected", "severity"],
        ["✗ failed", "code has its form", "1 of 1 row failed", "like A* in every row", "error"],
        ["▲ warning", "newest change is recent", "2024-03-09, 1 day before 2024-03-10", late, "warn"],
        ["✓ passed", "number of rows", "1 row", "at least 1 row", "error"],
    ]
    html = shown._repr_html_()
    assert html.index("✗ failed") < html.index("▲ warning") < html.index("✓ passed")
    assert "<style" not in html
    assert "<script" not in html
    rows = show_failing_rows(report)._repr_html_()
    assert "&lt;b&gt;" in rows
    assert "<b>" not in rows
    assert repr(show_failing_rows(check(database, RowCount()))) == "No failed check has a sample of rows."
