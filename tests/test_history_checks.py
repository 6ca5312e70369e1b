"""Checks against earlier runs, each kind passing and failing."""

import json
from collections.abc import Iterator
from pathlib import Path

import parts
import pytest
from parts import FIRST, GOOD, MANY, NO_BOUNDS, USUAL, check, fill, history, load, only, remember, start

from notebook_pipeline import checks
from notebook_pipeline.checks import CheckResult
from notebook_pipeline.declare.rules_and_checks import UsualChanges, UsualMix, UsualNulls, UsualRowCount
from notebook_pipeline.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with parts.opened(tmp_path) as database:
        yield database


def test_a_first_run_has_no_history_and_sets_no_bounds(database: Database) -> None:
    fill(database, GOOD)
    assert check(database, *USUAL).results == [
        CheckResult("no drop in the number of rows", "error", True, "3 rows", NO_BOUNDS, None, 3),
        CheckResult("no jump in the number of rows", "warn", True, "3 rows", NO_BOUNDS, None, 3),
        CheckResult("rows changed yesterday", "error", True, "1 row", NO_BOUNDS, None, 1),
        CheckResult(
            "share of nulls in code",
            "error",
            True,
            "33.33 % of 3 rows",
            NO_BOUNDS,
            None,
            100 / 3,
            {"null": 1, "other": 2},
        ),
        CheckResult(
            "mix of kind",
            "error",
            True,
            "bolt 33.33 % · nut 66.67 % · other 0.00 % of 3 rows",
            NO_BOUNDS,
            None,
            None,
            {"bolt": 1, "nut": 2, "other": 0},
        ),
    ]


def test_values_as_in_the_history_pass(database: Database) -> None:
    fill(database, MANY)
    remember(database, history(rows=100, changed=100, nulls=0, bolts=75))
    runs = "12 earlier runs"
    assert check(database, *USUAL).results == [
        CheckResult(
            "no drop in the number of rows",
            "error",
            True,
            "100 rows",
            f"at least 98 rows ({runs}; median of the last 5: 100 rows)",
            None,
            100,
        ),
        CheckResult(
            "no jump in the number of rows",
            "warn",
            True,
            "100 rows",
            f"at most 102 rows ({runs}; median of the last 5: 100 rows)",
            None,
            100,
        ),
        CheckResult(
            "rows changed yesterday",
            "error",
            True,
            "100 rows",
            f"at least 10 rows ({runs}; median of the last 5: 100 rows)",
            None,
            100,
        ),
        CheckResult(
            "share of nulls in code",
            "error",
            True,
            "0.00 % of 100 rows",
            f"0.00 to 0.50 % ({runs}; median of the last 5: 0.00 %)",
            None,
            0,
            {"null": 0, "other": 100},
        ),
        CheckResult(
            "mix of kind",
            "error",
            True,
            "bolt 75.00 % · nut 25.00 % · other 0.00 % of 100 rows",
            f"bolt 74.50 to 75.50 % · nut 24.50 to 25.50 % · other 0.00 to 0.50 % ({runs})",
            None,
            None,
            {"bolt": 75, "nut": 25, "other": 0},
        ),
    ]


@pytest.mark.parametrize(
    ("earlier", "failed"),
    [
        (history(rows=103, changed=100, nulls=0, bolts=75), ["no drop in the number of rows"]),
        (history(rows=97, changed=100, nulls=0, bolts=75), ["no jump in the number of rows"]),
        (history(rows=100, changed=1200, nulls=0, bolts=75), ["rows changed yesterday"]),
        (history(rows=100, changed=100, nulls=1, bolts=75), ["share of nulls in code"]),
        (history(rows=100, changed=100, nulls=0, bolts=76), ["mix of kind"]),
    ],
)
def test_values_unlike_the_history_fail(
    earlier: dict[str, list[str]], failed: list[str], database: Database
) -> None:
    fill(database, MANY)
    remember(database, earlier)
    assert [result.check_name for result in check(database, *USUAL).results if not result.passed] == failed


def test_shares_are_compared_within_their_scope(database: Database) -> None:
    load(database, MANY)
    remember(database, history(rows=100, changed=100, nulls=90, bolts=75), scope="run")
    assert only(check(database, UsualNulls("code"))).expected == NO_BOUNDS
    result = only(check(database, UsualNulls("code"), scope="run"))
    assert (result.passed, result.measured) == (False, "0.00 % of 100 rows")
    assert only(check(database, UsualRowCount("drop"))).expected.startswith("at least 98 rows")


def test_the_newest_gaps_are_the_sample_of_too_many_nulls(database: Database) -> None:
    fill(database, [(1, None, "nut", 1, 7, "2024-03-01"), (2, None, "nut", 1, 7, "2024-03-05"), *MANY[3:]])
    remember(database, history(rows=99, changed=97, nulls=0, bolts=75))
    assert [row["id"] for row in only(check(database, UsualNulls("code"))).rows] == [2, 1]


def test_a_value_on_its_bound_is_usual(database: Database) -> None:
    fill(database, MANY[:9])
    remember(database, history(rows=9, changed=99, nulls=0, bolts=75))
    assert only(check(database, UsualChanges())).passed
    database.execute("DELETE FROM part WHERE id = 1")
    assert not only(check(database, UsualChanges())).passed


def test_values_without_a_name_are_other(database: Database) -> None:
    fill(database, [*GOOD, (4, "A-4", "screw", 1, 7, "2024-03-01"), (5, "A-5", None, 1, 7, "2024-03-01")])
    result = only(check(database, UsualMix("kind", ("bolt", "nut"))))
    assert result.measured == "bolt 20.00 % · nut 40.00 % · other 40.00 % of 5 rows"


def test_a_value_called_other_counts_with_the_rest(database: Database) -> None:
    fill(database, [*GOOD, (4, "A-4", "other", 1, 7, "2024-03-01"), (5, "A-5", None, 1, 7, "2024-03-01")])
    result = only(check(database, UsualMix("kind", ("bolt", "nut", "other"))))
    assert result.measured == "bolt 20.00 % · nut 40.00 % · other 40.00 % of 5 rows"


def test_an_anomaly_is_not_made_usual_by_checking_the_same_load_again(database: Database) -> None:
    fill(database, MANY)
    remember(database, history(rows=100, changed=100, nulls=0, bolts=75))
    load(database, [], FIRST)
    database.execute("DELETE FROM part WHERE id >= 50")
    for attempt in range(6):
        run_id = f"240310-{attempt}"
        start(database, run_id, "data_quality")
        database.execute(
            "UPDATE pipeline_run SET parameters = ? WHERE run_id = ?",
            [json.dumps({"run_id": FIRST}), run_id],
        )
        report = check(database, UsualRowCount("drop"), run_id=FIRST)
        checks.save(database, run_id, report)
        assert (only(report).passed, only(report).measured) == (False, "50 rows")


def test_only_the_newest_runs_are_remembered(database: Database) -> None:
    fill(database, MANY)
    values = [5000] * 40 + [100] * 60
    remember(database, {"no drop in the number of rows": values})
    report = check(database, UsualRowCount("drop"))
    assert report.history.numbers("no drop in the number of rows") == [100.0] * 60
    assert report.results[0].passed
