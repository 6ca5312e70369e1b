"""A declaration is checked as a whole when it is made."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from declared import PLAYER
from parts import PART
from place import PLACE

from notebook_pipeline.declare import (
    AllowedValues,
    Column,
    Dataset,
    EveryRow,
    Glob,
    NotInFuture,
    NotNull,
    Pattern,
    Range,
    Rest,
)
from notebook_pipeline.errors import UsageError

ID, DAY = Column("id", pa.int64(), False), Column("day", pa.date32(), False)


def thing(*columns: Column, **more: Any) -> Dataset:
    return Dataset("thing", (ID, *columns, DAY), "id", "day", **more)


def test_columns_are_a_schema() -> None:
    assert thing(Column("name", pa.string(), doc="what it is called")).schema == pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("name", pa.string()),
            pa.field("day", pa.date32(), nullable=False),
        ]
    )


def test_sequences_of_any_kind_are_kept_as_tuples() -> None:
    rules, ignored = [NotNull("id")], ["more"]
    declared = Dataset("thing", [ID, DAY], "id", "day", rules=rules, ignored=ignored)
    rules.clear()
    assert declared == thing(rules=(NotNull("id"),), ignored=("more",))
    assert hash(declared) == hash(thing(rules=(NotNull("id"),), ignored=("more",)))


@pytest.mark.parametrize(
    ("column", "kind", "nullable"),
    [
        ("name", pa.string(), True),
        ("name", pa.float64(), False),
        ("last_changed_date", pa.date32(), True),
        ("last_changed_date", pa.string(), False),
    ],
)
def test_rows_are_merged_by_a_key_and_a_day(column: str, kind: pa.DataType, nullable: bool) -> None:
    columns = [
        Column(column, kind, nullable) if declared.name == column else declared for declared in PLACE.columns
    ]
    with pytest.raises(UsageError, match=rf"dataset 'place' declares {column} as .*nullable=False"):
        replace(PLACE, columns=columns)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"name": "Thing"},
            r"dataset name 'Thing': use lowercase letters, digits and _, starting with a letter",
        ),
        ({"name": "../thing"}, r"dataset name '../thing': use lowercase letters"),
        ({"name": "thing\n"}, r"dataset name 'thing\\n': use lowercase letters"),
        ({"name": "t" * 51}, r"at most 50 characters"),
        ({"name": "watermark"}, r"dataset 'watermark' has the name of a bookkeeping table; choose another"),
        ({"name": "sqlite_things"}, r"dataset 'sqlite_things' has a name that is reserved for the database"),
        (
            {"name": "rejected_row_run"},
            r"dataset 'rejected_row_run' has a name that is reserved for the database",
        ),
        ({"name": 5}, r"Dataset: name is 5; expected text"),
        ({"columns": "id day"}, r"Dataset: columns is 'id day'; expected a tuple of Column"),
        (
            {"columns": [ID, ("day", "date")]},
            r"columns contains \('day', 'date'\); expected a tuple of Column",
        ),
        ({"columns": []}, r"declares 0 columns; expected 1 to 1,998"),
        ({"columns": [ID, DAY, *(Column(f"c{n}", pa.string()) for n in range(1997))]}, r"declares 1,999 col"),
        ({"columns": [ID, DAY, Column("day", pa.string())]}, r"declares the columns \['day', 'day'\]"),
        (
            {"columns": [ID, DAY, Column("Day", pa.string())]},
            r"\['day', 'Day'\]; expected names",
        ),
        ({"key": "number"}, r"uses undeclared columns \['number'\]; it declares \['day', 'id'\]"),
        ({"cursor": "changed"}, r"uses undeclared columns \['changed'\]; it declares \['day', 'id'\]"),
        ({"rules": (NotNull("colour"),)}, r"uses undeclared columns \['colour'\]"),
        ({"rules": ("id is not null",)}, r"rules contains 'id is not null'; expected a tuple of NotNull or"),
        (
            {"rules": (Pattern("id", "[0-9]+"),)},
            r"does not fit id, which is declared as int64; exp",
        ),
        ({"rules": (NotInFuture("id"),)}, r"does not fit id, .* expected a column of days or moments"),
        (
            {"rules": (Range("day", low="2024-02-30"),)},
            r"does not fit day, .* expected days: a date, or text as YYYY-MM-DD",
        ),
        ({"checks": (EveryRow(Glob("id", "1*")),)}, r"does not fit id, .* expected a text column"),
        ({"ignored": ("id", "x")}, r"both declares and ignores the columns \['id'\]"),
        ({"ignored": "x"}, r"Dataset: ignored is 'x'; expected a tuple of text"),
        ({"api": "things/"}, r"Dataset: api is 'things/'; expected Rest or None"),
    ],
)
def test_what_cannot_be_is_refused_with_the_value_and_what_is_expected(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        replace(thing(), **changes)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("", pa.int64()), "column '': expected a name of 1 to 63 bytes"),
        (("ö" * 32, pa.int64()), "expected a name of 1 to 63 bytes"),
        (("a\0b", pa.int64()), r"column 'a\\x00b': expected a name"),
        (("_Run_Id", pa.string()), "column '_Run_Id': the engine adds a column of this name"),
        (
            ("a", pa.date64()),
            r"column 'a': date64\[ms\] is not a type that can be stored; use one of pa.int8\(\) to",
        ),
        (("a", "int64"), r"Column: type is 'int64'; expected an Arrow type such as pa.int64\(\)"),
        (("a", pa.int64(), "no"), "Column: nullable is 'no'; expected True or False"),
    ],
)
def test_a_column_that_cannot_be_is_refused(arguments: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Column(*arguments)


@pytest.mark.parametrize(
    ("declaration", "arguments", "reason"),
    [
        (NotNull, (5,), "NotNull: column is 5; expected text"),
        (AllowedValues, ("a", ["x"]), r"AllowedValues: values is \['x'\]; expected a tuple of text"),
        (
            AllowedValues,
            ("a", ("x", 1.5)),
            "AllowedValues: values contains 1.5; expected a tuple of text or",
        ),
        (Range, ("a", True), "Range: low is True; expected a whole number or a number or"),
        (EveryRow, (NotNull("a"), "warning"), "severity is 'warning'; expected 'error' or 'warn'"),
        (EveryRow, ("a > 1",), "EveryRow: condition is 'a > 1'; expected NotNull or AllowedValues or"),
    ],
)
def test_a_rule_with_a_wrong_argument_is_refused(
    declaration: type, arguments: tuple[Any, ...], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        declaration(*arguments)


def test_a_dataset_without_api_says_what_to_declare() -> None:
    with pytest.raises(UsageError, match=r"'part' has no api; add api=Rest\(...\) to datasets/part.py"):
        PART.declared_api()
    assert PLAYER.declared_api().endpoint == "v0/players/"


def test_an_empty_parameter_means_the_declared_connection() -> None:
    declared = thing(api=Rest("things/", conn_id="things_api"))
    assert [declared.conn_id(name) for name in ("file_conn_id", "api_conn_id", "database_conn_id")] == [
        "repository_raw_url",
        "things_api",
        "",
    ]
    assert thing().conn_id("api_conn_id") == ""
