"""All checks of a dataset at once: one scan, two scopes, and whatever can be missing or broken."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import parts
import pytest
from parts import (
    ALL_KINDS,
    FIRST,
    GOOD,
    PART,
    SECOND,
    TODAY,
    USUAL,
    check,
    fill,
    history,
    load,
    only,
    remember,
    start,
    statements,
)

from notebook_pipeline import checks
from notebook_pipeline.declare.row_conditions import Condition, NotNull
from notebook_pipeline.declare.rules_and_checks import EveryRow, Fresh, NoRows, RowCount, Unique
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with parts.opened(tmp_path) as database:
        yield database


def test_a_table_without_rows(database: Database) -> None:
    results = {result.check_name: result for result in check(database, *ALL_KINDS).results}
    assert [name for name, result in results.items() if not result.passed] == [
        "number of rows",
        "newest change is recent",
    ]
    assert results["number of rows"].measured == "0 rows"
    assert results["newest change is recent"].measured == "no rows"
    assert results["kind is not null"].measured == "0 of 0 rows failed"
    nothing = ("no rows", "anything: there are no rows to check")
    for name in ("share of nulls in code", "mix of kind"):
        assert (results[name].measured, results[name].expected) == nothing


def test_a_table_that_lost_all_its_rows(database: Database) -> None:
    remember(database, history(rows=100, changed=100, nulls=0, bolts=75))
    failed = [result.check_name for result in check(database, *USUAL).results if not result.passed]
    assert failed == ["no drop in the number of rows", "rows changed yesterday"]


def test_a_table_that_does_not_exist(database: Database) -> None:
    database.execute("DROP TABLE part")
    report = check(database, *ALL_KINDS)
    assert [result.check_name for result in report.results if result.passed] == ["share of rejected rows"]
    assert report.results[0].measured == "could not be measured"
    assert "no such table: part" in report.results[0].expected
    assert database.name not in str(report.results)
    assert (report.rows, report.nulls) == (0, {})


def test_a_column_that_the_table_lacks_is_not_taken_for_a_text(database: Database) -> None:
    fill(database, GOOD)
    database.execute("ALTER TABLE part DROP COLUMN kind")
    report = check(database, EveryRow(NotNull("kind")), EveryRow(NotNull("id")))
    assert [result.passed for result in report.results] == [False, True]
    assert "no such column: t.kind" in report.results[0].expected


def test_a_broken_check_fails_alone(database: Database) -> None:
    fill(database, GOOD)
    broken = EveryRow(Condition("broken", "no_such_column > 1"))
    report = check(
        database, EveryRow(NotNull("kind")), broken, NoRows("no query", "SELECT FROM part"), Fresh(1)
    )
    assert [(result.check_name, result.passed) for result in report.results] == [
        ("kind is not null", True),
        ("broken", False),
        ("no query", False),
        ("newest change is recent", True),
    ]
    assert "no such column: no_such_column" in report.results[1].expected
    assert "syntax error" in report.results[2].expected


def test_a_cursor_that_is_no_day_fails_its_check(database: Database) -> None:
    fill(database, [(1, "A-1", "nut", 1, 7, "tomorrow")])
    result = only(check(database, Fresh(1)))
    assert (result.passed, result.measured) == (False, "could not be measured")
    assert "tomorrow" in result.expected


def test_one_scan_answers_all_checks(database: Database) -> None:
    load(database, GOOD)
    kinds = [declared for declared in ALL_KINDS if not isinstance(declared, NoRows)]
    database.execute("CREATE UNIQUE INDEX part_code ON part (code)")
    seen = statements(database)
    assert not check(database, *kinds).failed
    assert len([sql for sql in seen if '"part"' in sql]) == 1
    seen.clear()
    check(database, *kinds, scope="run")
    assert ["t._run_id IN (?)" in sql for sql in seen if '"part"' in sql] == [True, False]


def test_scope_run_checks_the_rows_of_one_run(database: Database) -> None:
    load(database, [*GOOD, (4, "A-4", None, 1, 7, "2024-03-01")])
    load(database, [(5, "A-4", None, 1, 7, "2024-03-01"), (6, "A-6", "nut", 1, 7, "2024-03-02")], SECOND)
    declared = EveryRow(NotNull("kind"))
    of_first, of_newest = (
        check(database, declared, scope="run", run_id=FIRST),
        check(database, declared, scope="run"),
    )
    assert only(of_first).measured == "1 of 4 rows failed"
    assert [row["id"] for row in only(of_first).rows] == [4]
    assert only(of_newest).measured == "1 of 2 rows failed"
    assert [row["id"] for row in only(of_newest).rows] == [5]
    assert (of_newest.rows, of_newest.nulls["kind"]) == (2, 1)
    assert only(check(database, RowCount(), scope="run")).measured == "6 rows"


def test_scope_run_checks_the_rows_of_several_runs_that_loaded_side_by_side(database: Database) -> None:
    load(database, GOOD)
    load(database, [(4, "A-4", None, 1, 7, "2024-03-01")], SECOND)
    load(database, [(5, "A-1", None, 1, 7, "2024-03-01")], third := SECOND[:-1] + "3")
    result = only(check(database, EveryRow(NotNull("kind")), scope="run", run_id=f"{SECOND} {third}"))
    assert result.measured == "2 of 2 rows failed"
    assert only(check(database, Unique("code"), scope="run", run_id=f"{FIRST} {SECOND}")).measured == (
        "2 rows have duplicate values"
    )
    assert only(check(database, Unique("code"), scope="run", run_id=SECOND)).passed


def test_scope_run_finds_doubles_that_its_rows_make(database: Database) -> None:
    load(database, [(1, "A", "nut", 1, 7, "2024-03-01"), (2, "A", "nut", 1, 7, "2024-03-01")])
    load(database, [(3, "B", "nut", 1, 7, "2024-03-01")], SECOND)
    assert only(check(database, Unique("code"), scope="run")).passed
    load(database, [(4, "A", "nut", 1, 7, "2024-03-01")], SECOND[:-1] + "3")
    result = only(check(database, Unique("code"), scope="run"))
    assert result.measured == "3 rows have duplicate values"
    assert [row["id"] for row in result.rows] == [1, 2, 4]


def test_a_scope_or_run_that_does_not_exist_is_refused(database: Database) -> None:
    with pytest.raises(UsageError, match="scope is 'rows'; expected 'table' or 'run'"):
        check(database, scope="rows")
    with pytest.raises(UsageError, match="the ledger has no load of 'part'"):
        check(database, scope="run")
    with pytest.raises(UsageError, match="no run 'nothing'"):
        check(database, run_id="nothing")
    start(database, FIRST, dataset="player")
    with pytest.raises(UsageError, match="not a run of dataset 'part'"):
        check(database, run_id=FIRST)


def test_recent_changes_are_counted_by_day(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", TODAY.isoformat())
    fill(database, [*GOOD, (4, "A-4", "nut", 1, 7, "2024-03-08"), (5, "A-5", "nut", 1, 7, "2024-04-01")])
    counted = {date(2024, 3, 8): 2, date(2024, 3, 9): 1, date(2024, 3, 10): 0}
    assert checks.recent_changes(database, PART, days=3) == counted
    database.execute("DROP TABLE part")
    assert checks.recent_changes(database, PART, days=3) == dict.fromkeys(counted, 0)
