"""Checks on a table as a whole, each kind passing and failing."""

import json
from collections.abc import Iterator
from pathlib import Path

import parts
import pytest
from parts import (
    FIRST,
    GOOD,
    SECOND,
    check,
    fill,
    load,
    only,
)

from notebook_pipeline.checks import CheckResult
from notebook_pipeline.declare.rules_and_checks import Check, Fresh, MatchesSource, RejectedShare, RowCount
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with parts.opened(tmp_path) as database:
        yield database


@pytest.mark.parametrize(
    ("declared", "passed", "expected"),
    [
        (RowCount(), True, "at least 1 row"),
        (RowCount(low=3, high=3), True, "at least 3 rows, at most 3 rows"),
        (RowCount(low=4), False, "at least 4 rows"),
        (RowCount(high=2), False, "at least 1 row, at most 2 rows"),
    ],
)
def test_the_number_of_rows(declared: Check, passed: bool, expected: str, database: Database) -> None:
    fill(database, GOOD)
    assert only(check(database, declared)) == CheckResult(
        "number of rows", "error", passed, "3 rows", expected, None, 3
    )


def test_the_number_of_rows_against_the_source(database: Database) -> None:
    load(database, GOOD)
    name = "number of rows matches the source"
    unknown = "anything: the last load did not ask the source for its number of rows"
    assert only(check(database, MatchesSource())) == CheckResult(
        name, "error", True, "3 rows", unknown, None, 3
    )
    counted = {
        "check_name": ledger.SOURCE_COUNT,
        "severity": "warn",
        "passed": False,
        "measured": 3,
        "expected": 4,
    }
    ledger.save_results(database, FIRST, "part", [counted])
    expected = "4 rows as in the source, ±{} %"
    assert only(check(database, MatchesSource(25.0))) == CheckResult(
        name, "error", True, "3 rows", expected.format("25.00"), None, 3
    )
    assert only(check(database, MatchesSource(24.0))) == CheckResult(
        name, "error", False, "3 rows", expected.format("24.00"), None, 3
    )
    load(database, [], SECOND, read=0)
    assert only(check(database, MatchesSource(24.0))) == CheckResult(
        name, "error", True, "3 rows", unknown, None, 3
    )


def test_freshness(database: Database) -> None:
    fill(database, GOOD)
    name, measured = "newest change is recent", "2024-03-09, 1 day before 2024-03-10"
    assert only(check(database, Fresh(1))) == CheckResult(
        name, "error", True, measured, "at most 1 day before 2024-03-10", None, 1
    )
    assert only(check(database, Fresh(0))) == CheckResult(
        name, "error", False, measured, "at most 0 days before 2024-03-10", None, 1
    )


def test_the_share_of_rejected_rows(database: Database) -> None:
    name, expected = "share of rejected rows", "at most 1.00 % of the rows of the last load"
    assert only(check(database, RejectedShare())) == CheckResult(name, "error", True, "no load yet", expected)
    load(database, GOOD, read=400, rejected=4)
    assert only(check(database, RejectedShare())) == CheckResult(
        name, "error", True, "1.00 %, 4 of 400 rows", expected, None, 1
    )
    load(database, GOOD, SECOND, read=300, rejected=4)
    ledger.save_rejected(database, SECOND, "part", [("parts.csv:9", '{"id": null}', ["id is missing"])])
    rejected = [{"position": "parts.csv:9", "row": '{"id": null}', "reasons": '["id is missing"]'}]
    assert only(check(database, RejectedShare())) == CheckResult(
        name, "error", False, "1.33 %, 4 of 300 rows", expected, json.dumps(rejected), 400 / 300
    )
    assert only(check(database, RejectedShare(), run_id=FIRST)).passed
    both = only(check(database, RejectedShare(), run_id=f"{FIRST} {SECOND}"))
    assert (both.passed, both.measured) == (False, "1.14 %, 8 of 700 rows")
    assert both.sample == json.dumps(rejected)
