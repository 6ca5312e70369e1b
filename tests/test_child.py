"""A child's declaration says where its rows are, and is refused in words if it cannot be."""

from typing import Any

import pyarrow as pa
import pytest

from notebook_pipeline.declare import Child, Column, Dataset
from notebook_pipeline.errors import UsageError

COLUMNS = (Column("order_id", pa.int64(), nullable=False), Column("day", pa.date32(), nullable=False))


def test_a_list_is_found_by_its_path_in_each_source() -> None:
    by_source = Child("line", at={"api": "detail.lines", "files": ("a.b",)}, parent={"order_id": "order_id"})
    assert [by_source.path("api"), by_source.path("files"), by_source.path("stream")] == [
        ("detail", "lines"),
        ("a.b",),
        (),
    ]
    assert Child("line", at="lines", parent={"order_id": "order_id"}).path("files") == ("lines",)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"at": ""}, "Child: at of 'line' is ''; expected the field that has the list"),
        ({"at": "a..b"}, "Child: at of 'line' is 'a..b'"),
        ({"at": "lines[].x"}, r"Child: at of 'line' is 'lines\[\].x'"),
        ({"at": {"csv": "lines"}}, r"at of 'line' names the sources \['csv'\]; expected files, api"),
        ({"parent": {}}, "Child: parent of 'line' is empty"),
    ],
)
def test_a_child_that_cannot_be_is_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Child("line", **({"at": "lines", "parent": {"order_id": "order_id"}} | arguments))


@pytest.mark.parametrize(
    ("children", "reason"),
    [
        (
            [Child("line", at="lines", parent={"order_id": "id"})],
            r"parent of the child 'line' names \['id'\]; it declares",
        ),
        (
            [Child("line", at="lines", parent={"day": "day"})],
            r"parent of the child 'line' lacks \['order_id'\]; expected all columns of the key",
        ),
        (
            [Child("order", at="lines", parent={"order_id": "order_id"})],
            r"has the children \['order'\]; expected different datasets, and not itself",
        ),
        (
            [Child("line", at=name, parent={"order_id": "order_id"}) for name in ("a", "b")],
            r"has the children \['line', 'line'\]; expected different datasets",
        ),
    ],
)
def test_a_dataset_whose_children_do_not_fit_is_refused(children: list[Child], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Dataset("order", COLUMNS, "order_id", children=children)
