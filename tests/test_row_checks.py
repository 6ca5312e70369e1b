"""Checks on rows, each kind passing and failing."""

import json
from collections.abc import Iterator
from pathlib import Path

import parts
import pytest
from parts import (
    GOOD,
    check,
    fill,
    only,
    part,
    statements,
)

from notebook_pipeline.checks import CheckResult
from notebook_pipeline.declare.row_conditions import (
    AllowedValues,
    Condition,
    Glob,
    NotInFuture,
    NotNull,
    Range,
    References,
)
from notebook_pipeline.declare.rules_and_checks import Check, EveryRow, NoRows, Unique
from notebook_pipeline.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with parts.opened(tmp_path) as database:
        yield database


ROW_CHECKS = [
    (
        EveryRow(NotNull("kind")),
        (4, "A-4", None, 1, 7, "2024-03-01"),
        "kind is not null",
        "a value in every row",
    ),
    (
        EveryRow(AllowedValues("kind", ("bolt", "nut"))),
        (4, "A-4", "Nut", 1, 7, "2024-03-01"),
        "kind is an allowed value",
        "one of bolt, nut in every row",
    ),
    (
        EveryRow(Range("weight", low=5, high=6)),
        (4, "A-4", "nut", 7, 7, "2024-03-01"),
        "weight is in range",
        "5 to 6 in every row",
    ),
    (
        EveryRow(Range("weight", low=5)),
        (4, "A-4", "nut", 4, 7, "2024-03-01"),
        "weight is in range",
        "at least 5 in every row",
    ),
    (
        EveryRow(Range("changed", high="2024-03-09")),
        (4, "A-4", "nut", 1, 7, "2024-03-10"),
        "changed is in range",
        "at most 2024-03-09 in every row",
    ),
    (
        EveryRow(NotInFuture("changed")),
        (4, "A-4", "nut", 1, 7, "2024-03-12"),
        "changed is not in the future",
        "at most 2024-03-11 in every row",
    ),
    (
        EveryRow(Glob("code", "A-[0-9]")),
        (4, "a-4", "nut", 1, 7, "2024-03-01"),
        "code has its form",
        "like A-[0-9] in every row",
    ),
    (
        EveryRow(References("maker", "maker", "id")),
        (4, "A-4", "nut", 1, 9, "2024-03-01"),
        "maker is in maker",
        "a value of maker.id in every row",
    ),
    (
        EveryRow(Condition("bolts are heavy", "kind <> 'bolt' OR weight > 2")),
        (4, "A-4", "bolt", 2, 7, "2024-03-01"),
        "bolts are heavy",
        "kind <> 'bolt' OR weight > 2 in every row",
    ),
]


@pytest.mark.parametrize(
    ("declared", "bad", "name", "expected"), ROW_CHECKS, ids=[each[2] for each in ROW_CHECKS]
)
def test_a_condition_on_rows(
    declared: Check, bad: tuple, name: str, expected: str, database: Database
) -> None:
    fill(database, GOOD)
    assert only(check(database, declared)) == CheckResult(
        name, "error", True, "0 of 3 rows failed", expected, None, 0
    )
    fill(database, [bad])
    assert only(check(database, declared)) == CheckResult(
        name, "error", False, "1 of 4 rows failed", expected, json.dumps([part(bad)]), 1
    )


def test_some_rows_may_break_a_condition(database: Database) -> None:
    fill(database, GOOD)
    sample = json.dumps([part(GOOD[2])])
    name, measured = "weight is not null", "1 of 3 rows failed"
    allowed = {
        EveryRow(NotNull("weight"), "warn", max_rows=1): (True, "a value in all but 1 row", None),
        EveryRow(NotNull("weight"), "warn", max_percent=34.0): (
            True,
            "a value in all but 34.00 % of the rows",
            None,
        ),
        EveryRow(NotNull("weight"), "warn", max_percent=33.0): (
            False,
            "a value in all but 33.00 % of the rows",
            sample,
        ),
    }
    for declared, (passed, expected, rows) in allowed.items():
        assert only(check(database, declared)) == CheckResult(
            name, "warn", passed, measured, expected, rows, 1
        )


def test_a_sample_holds_twenty_rows_by_key(database: Database) -> None:
    fill(database, [(key, None, None, None, None, None) for key in range(30, 0, -1)])
    result = only(check(database, EveryRow(NotNull("kind"))))
    assert result.measured == "30 of 30 rows failed"
    assert [row["id"] for row in result.rows] == list(range(1, 21))


def test_uniqueness_is_answered_by_the_key(database: Database) -> None:
    fill(database, GOOD)
    seen = statements(database)
    assert only(check(database, Unique("id"))) == CheckResult(
        "id is unique", "error", True, "0 rows have duplicate values (unique index)", "no duplicates", None, 0
    )
    assert not [sql for sql in seen if "GROUP BY" in sql]


def test_uniqueness_without_an_index(database: Database) -> None:
    fill(database, GOOD)
    unique = Unique("code", "warn")
    assert only(check(database, unique)) == CheckResult(
        "code is unique", "warn", True, "0 rows have duplicate values", "no duplicates", None, 0
    )
    fill(database, [(4, "A-1", "nut", 1, 7, "2024-03-01"), (5, None, "nut", 1, 7, "2024-03-01")])
    assert only(check(database, unique)) == CheckResult(
        "code is unique",
        "warn",
        False,
        "2 rows have duplicate values",
        "no duplicates",
        json.dumps([part(GOOD[0]), part((4, "A-1", "nut", 1, 7, "2024-03-01"))]),
        2,
    )
    database.execute("DELETE FROM part WHERE id = 4")
    database.execute("CREATE UNIQUE INDEX part_code ON part (code)")
    assert only(check(database, unique)).measured == "0 rows have duplicate values (unique index)"


def test_a_query_for_offenders(database: Database) -> None:
    fill(database, GOOD)
    nuts = "SELECT kind, count(*) AS n FROM part GROUP BY kind HAVING count(*) > 1"
    assert only(check(database, NoRows("kinds are single", nuts + " + 1"))) == CheckResult(
        "kinds are single", "error", True, "0 rows found", "no rows found", None, 0
    )
    assert only(check(database, NoRows("kinds are single", nuts))) == CheckResult(
        "kinds are single", "error", False, "1 row found", "no rows found", '[{"kind": "nut", "n": 2}]', 1
    )
    assert only(check(database, NoRows("kinds are single", nuts, max_rows=1))) == CheckResult(
        "kinds are single", "error", True, "1 row found", "at most 1 row found", None, 1
    )
