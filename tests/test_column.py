"""The declaration of a column: which types, where it is in a source, and how its values are written."""

from typing import Any

import pyarrow as pa
import pytest

from notebook_pipeline.declare import Column, Dataset, Fresh, NotInFuture, Range, Unique, UsualChanges
from notebook_pipeline.declare.column import FAMILIES
from notebook_pipeline.declare.row_conditions import AllowedValues
from notebook_pipeline.declare.rules_and_checks import Rule
from notebook_pipeline.errors import UsageError

ID = Column("id", pa.int64(), False)
MOMENT = pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.decimal128(15, 2), pa.date32()),
        *(pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "Europe/Berlin")),
        *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.string(), pa.large_string()),
        *(pa.binary(), pa.large_binary(), pa.json_()),
    ],
    ids=str,
)
def test_types_that_can_be_declared(kind: pa.DataType) -> None:
    assert Column("a", kind).type == kind


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (pa.decimal128(16, 2), "has 16 digits, and SQLite keeps 15 exactly; declare at most 15 digits, or"),
        (pa.decimal128(5, -2), "has the scale -2; expected 0 to 5"),
        (pa.decimal256(5, 2), "is not a type that can be stored; use one of"),
        (pa.timestamp("ns", "UTC"), "counts nanoseconds, which are not stored; use pa.timestamp"),
        (pa.time64("ns"), "counts nanoseconds, which are not stored; use pa.time64"),
        (pa.list_(pa.int64()), "is not a type that can be stored"),
        (pa.duration("s"), "is not a type that can be stored"),
        (pa.null(), "is not a type that can be stored"),
    ],
    ids=str,
)
def test_other_types_are_refused_in_words(kind: pa.DataType, reason: str) -> None:
    with pytest.raises(UsageError) as error:
        Column("a", kind)
    assert f"column 'a': {kind} {reason}" in str(error.value)


@pytest.mark.parametrize("kind", [pa.float64(), pa.binary(), pa.json_()], ids=str)
def test_types_that_do_not_identify_a_row_are_no_key(kind: pa.DataType) -> None:
    with pytest.raises(UsageError, match="a key column must be an integer, text, a bool, a day, a moment, a"):
        Dataset("thing", [ID, Column("b", kind, False)], ("id", "b"))


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.string(), pa.bool_(), pa.date32(), MOMENT, pa.time64("us"), pa.decimal128(9, 2)],
    ids=str,
)
def test_types_that_identify_a_row_are_a_key(kind: pa.DataType) -> None:
    assert Dataset("thing", [ID, Column("b", kind, False)], ("id", "b")).keys == ("id", "b")
    with pytest.raises(UsageError, match=r"declares b as .*, which may be null; a key column must be"):
        Dataset("thing", [ID, Column("b", kind)], ("id", "b"))


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        (pa.date32(), True),
        (MOMENT, True),
        (pa.int64(), True),
        (pa.timestamp("us"), False),
        (pa.timestamp("us", "Europe/Berlin"), False),
        (pa.string(), False),
        (pa.float64(), False),
    ],
    ids=str,
)
def test_types_of_a_cursor(kind: pa.DataType, fits: bool) -> None:
    columns = [ID, Column("changed", kind, False)]
    if fits:
        assert Dataset("thing", columns, "id", "changed").cursor == "changed"
        return
    with pytest.raises(UsageError, match=r"a cursor must be a day \(date32\), a moment \(timestamp with the"):
        Dataset("thing", columns, "id", "changed")


def test_a_column_is_found_by_its_name_or_by_a_path() -> None:
    assert {ID.path(family) for family in FAMILIES} == {("id",)}
    team = Column("team_id", pa.int64(), at={"files": "Team.Id", "api": "team.id", "stream": ("a.b", "c")})
    assert [team.path(family) for family in FAMILIES] == [
        ("Team.Id",),
        ("team", "id"),
        ("team_id",),
        ("a.b", "c"),
    ]
    assert Column("a.b", pa.int64()).path("api") == ("a.b",), "its own name is not a path"
    one = Column("x", pa.int64(), at="a.b")
    assert (one.path("files"), one.path("api")) == (("a.b",), ("a", "b"))
    assert hash(team) == hash(Column("team_id", pa.int64()))


@pytest.mark.parametrize(
    ("kind", "arguments", "reason"),
    [
        (pa.int64(), {"at": "a..b"}, "at='a..b' has an empty name"),
        (pa.int64(), {"at": ()}, r"at=\(\) has an empty name"),
        (pa.int64(), {"at": {"api": "edges[].node"}}, "selects items of a list, but a column has one value"),
        (pa.int64(), {"at": {"files": ("a", "b")}}, "is a path, but in files a column has one name"),
        (pa.int64(), {"at": {"csv": "a"}}, r"at names the sources \['csv'\]; expected files, api, database"),
        (pa.int64(), {"at": 5}, "Column: at is 5; expected text or a tuple of text or a mapping of text to"),
        (pa.int64(), {"format": "%Y"}, "only days, moments and times have one"),
        (pa.date32(), {"format": "epoch_days"}, "expected a strptime pattern such as '%d.%m.%Y', epoch, epo"),
        (pa.date32(), {"format": "%m-%d"}, "the pattern does not determine the day"),
        (pa.date32(), {"format": "%Q"}, "Python's datetime.strptime cannot read this pattern"),
        (MOMENT, {"format": "epoch_day"}, "epoch_day is a format of days, not of timestamp"),
        (pa.time64("us"), {"format": "epoch"}, "epoch is a format of moments and days"),
        (pa.time64("us"), {"format": "%M"}, "the pattern does not determine the hour and the minute"),
        (
            pa.date32(),
            {"format": {"files": "%d.%m.%Y", "api": "%d"}},
            "format='%d': the pattern does not",
        ),
        (MOMENT, {"zone": "Europe/Nowhere"}, "zone='Europe/Nowhere': expected a name of the time zone"),
        (pa.int64(), {"zone": "UTC"}, "zone='UTC': a column of type int64 has no time zone"),
    ],
)
def test_a_place_or_format_that_cannot_be_is_refused(
    kind: pa.DataType, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        Column("a", kind, **arguments)


@pytest.mark.parametrize(
    ("kind", "rule", "expected"),
    [
        (pa.int64(), Range("a", low=0.5), "whole numbers"),
        (pa.int64(), Range("a", low="1"), "whole numbers"),
        (pa.decimal128(5, 2), Range("a", low="0.125"), "decimal numbers with its digits"),
        (pa.date32(), Range("a", low="2024-02-30"), "days: a date, or text as YYYY-MM-DD"),
        (MOMENT, Range("a", low=5), "moments: a datetime, a date, or text in ISO format"),
        (pa.bool_(), Range("a", low=0), "a column with an order"),
        (pa.json_(), Range("a", low="x"), "a column with an order"),
        (pa.float64(), AllowedValues("a", ("1",)), "a column of text or integers"),
        (pa.int64(), AllowedValues("a", ("1",)), "whole numbers"),
        (pa.time64("us"), NotInFuture("a"), "a column of days or moments"),
    ],
)
def test_a_rule_that_does_not_fit_its_column_is_refused(kind: pa.DataType, rule: Rule, expected: str) -> None:
    with pytest.raises(UsageError, match=f"does not fit a, which is declared as .*; expected {expected}"):
        Dataset("thing", [ID, Column("a", kind)], "id", rules=[rule])


@pytest.mark.parametrize("check", [Fresh(1), UsualChanges()], ids=lambda check: type(check).__name__)
def test_checks_of_days_need_a_cursor_that_has_days(check: Fresh | UsualChanges) -> None:
    number = Column("version", pa.int64(), False)
    what = type(check).__name__
    with pytest.raises(UsageError, match=f"{what} needs the day of each row's last change, but no cursor is"):
        Dataset("thing", [ID, number], "id", checks=[check])
    with pytest.raises(UsageError, match=r"the cursor version is a number \(int64\); expected a day or a mo"):
        Dataset("thing", [ID, number], "id", "version", checks=[check])
    moment = Column("changed", MOMENT, False)
    assert Dataset("thing", [ID, moment], "id", "changed", checks=[check]).checks == (check,)


def test_several_columns_together_are_unique() -> None:
    check = Unique(("id", "a"))
    assert (check.name, check.columns) == ("id, a is unique", ("id", "a"))
    with pytest.raises(UsageError, match=r"uses undeclared columns \['a'\]"):
        Dataset("thing", [ID], "id", checks=[check])
