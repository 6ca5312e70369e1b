"""Nested rows are found in the good rows of their parents and checked as rows of their own dataset."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from notebook_pipeline.contract.batch import Malformed, RawBatch
from notebook_pipeline.contract.check_batch import Checked, NestedRows, check_batch
from notebook_pipeline.contract.child_rows import with_children
from notebook_pipeline.declare import Child, Column, Dataset
from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.errors import DataRefused

TODAY = date(2024, 9, 24)
CHILD = Child("line", at={"files": "lines", "api": "detail.lines"}, parent={"order": "id", "day": "day"})
ORDER = Dataset(
    "order",
    (Column("id", pa.int64(), nullable=False), Column("day", pa.date32(), nullable=False)),
    "id",
    "day",
    children=[CHILD],
)
LINE = Dataset(
    "line",
    (
        Column("order", pa.int64(), nullable=False),
        Column("line", pa.int64(), nullable=False, at={"api": "number.value"}),
        Column("price", pa.decimal128(8, 2)),
        Column("day", pa.date32(), nullable=False),
    ),
    ("order", "line"),
)
NESTED = Nested(CHILD, ORDER, LINE)


def check(raw: RawBatch, keep: int | None = None) -> tuple[Checked, NestedRows]:
    checked = with_children(check_batch(raw, ORDER, TODAY), [NESTED], TODAY, keep=keep)
    return checked, checked.children["line"]


def received(*rows: object, **more: Any) -> RawBatch:
    return RawBatch(rows, lambda row: f"f:{row}", **more)


def order(key: object, *lines: object) -> dict[str, object]:
    return {"id": key, "day": "2024-09-01", "lines": list(lines)}


def test_nested_rows_have_the_values_and_the_number_of_their_good_parent() -> None:
    checked, lines = check(
        received(
            order("bad", {"line": 1}),
            order(1, {"line": 1, "price": "1.50", "order": 77}, {"line": 2}),
            "no object",
            {"id": 2, "day": "2024-09-02", "lines": []},
            {"id": 3, "day": "2024-09-03", "lines": None},
            {"id": 4, "day": "2024-09-03"},
            order(5, {"line": 9}),
            malformed=[Malformed("f:9", b"{", "is no row")],
        )
    )
    assert checked.good.column("id").to_pylist() == [1, 2, 3, 4, 5]
    assert [[*list(row.values())[:2], str(row["price"]), row["day"]] for row in lines.good.to_pylist()] == [
        [1, 1, "1.50", "2024-09-01"],
        [1, 2, "None", "2024-09-01"],
        [5, 9, "None", "2024-09-01"],
    ]
    assert (lines.parents.to_pylist(), lines.stated.to_pylist(), lines.read) == ([0, 0, 4], [0, 1, 4], 3)
    assert (lines.rejected, lines.unclear.to_pylist(), len(lines.present)) == ([], [], 0)


def test_a_path_of_the_source_leads_to_the_list_and_to_the_columns() -> None:
    row = {"id": 1, "day": "2024-09-01", "detail": {"lines": [{"number": {"value": 3}}]}}
    _, lines = check(received(row, {"id": 2, "day": "2024-09-01", "detail": 5}, family="api"))
    assert lines.good.column("line").to_pylist() == [3]
    assert lines.stated.to_pylist() == [0]


def test_rejected_rows_say_where_they_are_and_which_keys_are_present() -> None:
    _, lines = check(
        received(
            order(1, {"line": 1, "price": "x"}, {"line": "?"}, 7),
            order(2, {"line": 4}),
            order(3) | {"lines": 5},
        )
    )
    assert [(row.position, row.row, list(row.reasons)) for row in lines.rejected] == [
        ("f:2, lines", "5", ["5 is not a list"]),
        ("f:0, lines[2]", "7", ["7 is not a JSON object"]),
        (
            "f:0, lines[0]",
            '{"line":1,"price":"x","order":1,"day":"2024-09-01"}',
            ["price: 'x' is not a number"],
        ),
        ("f:0, lines[1]", '{"line":"?","order":1,"day":"2024-09-01"}', ["line: '?' is not a whole number"]),
    ]
    assert lines.present.to_pylist() == [{"order": 1, "line": 1}]
    assert (lines.present_in.to_pylist(), lines.unclear.to_pylist()) == ([0], [0, 2])
    assert (lines.read, lines.good.num_rows) == (5, 1)


def test_only_so_many_rejected_rows_are_kept_and_all_are_counted() -> None:
    _, lines = check(received(order(1, *({"line": None} for _ in range(5)))), keep=2)
    assert (len(lines.rejected), lines.read, lines.good.num_rows) == (2, 5, 0)


def test_lists_of_structs_are_read_as_columns() -> None:
    kind = pa.list_(pa.struct([("line", pa.int32()), ("price", pa.decimal128(6, 2))]))
    second = {"line": 2, "price": Decimal("2.25")}
    lists = pa.array([[{"line": 1, "price": None}, None], None, [second], []], kind)
    batch = pa.RecordBatch.from_arrays(
        [pa.array([1, 2, 3, 4]), pa.array([datetime(2024, 9, day) for day in (1, 2, 3, 4)]), lists],
        ["id", "day", "lines"],
    )
    _, lines = check(RawBatch(batch, lambda row: f"f:{row}"))
    assert [(row["order"], row["line"], str(row["price"]), row["day"]) for row in lines.good.to_pylist()] == [
        (1, 1, "None", "2024-09-01"),
        (3, 2, "2.25", "2024-09-03"),
    ]
    assert [(row.position, list(row.reasons)) for row in lines.rejected] == [
        ("f:0, lines[1]", ["None is not a JSON object"])
    ]
    assert (lines.stated.to_pylist(), lines.unclear.to_pylist(), lines.read) == ([0, 2, 3], [0], 3)


def test_a_column_without_lists_says_nothing_and_one_of_a_wrong_type_is_refused() -> None:
    days = pa.array([datetime(2024, 9, 1)])
    text = pa.RecordBatch.from_arrays([pa.array([1]), days, pa.array(["[]"])], ["id", "day", "lines"])
    _, lines = check(RawBatch(text, str))
    assert (lines.read, lines.stated.to_pylist()) == (0, [])
    wrong = pa.array([[{"line": [1]}]])
    batch = pa.RecordBatch.from_arrays([pa.array([1]), days, wrong], ["id", "day", "lines"])
    with pytest.raises(DataRefused, match=r"line: found lines\[\].line as list<.*>, expected int64"):
        check(RawBatch(batch, str))
