"""Where a dataset says that its rows come from."""

from typing import Any

import pyarrow as pa
import pytest

from notebook_pipeline.declare import (
    Column,
    Dataset,
    Files,
    NextLink,
    Offset,
    PageNumber,
    Rest,
    Since,
    SinglePage,
    Token,
    Total,
)
from notebook_pipeline.declare.paths import path_steps
from notebook_pipeline.errors import UsageError


def test_an_api_is_read_by_skip_and_limit_unless_it_says_otherwise() -> None:
    assert Rest("things/") == Rest(
        "things/", conn_id="", pages=Offset("skip", "limit"), since=None, total=None, page_size=0
    )
    assert Files() == Files("repository_raw_url")


@pytest.mark.parametrize(
    ("declaration", "arguments", "reason"),
    [
        (Rest, {"endpoint": "https://a.b/things"}, "Rest: endpoint is 'https://a.b/things'; expected a path"),
        (Rest, {"endpoint": "//a.b"}, "Rest: endpoint is '//a.b'; expected a path"),
        (Rest, {"endpoint": 5}, "Rest: endpoint is 5; expected text"),
        (Rest, {"endpoint": "a/", "page_size": -1}, "Rest: page_size is -1; expected 0 or more rows"),
        (Rest, {"endpoint": "a/", "page_size": True}, "Rest: page_size is True; expected a whole number"),
        (Rest, {"endpoint": "a/", "since": "day"}, "Rest: since is 'day'; expected Since or None"),
        (Rest, {"endpoint": "a/", "query": {"a": None}}, "Rest: query contains 'a': None; expected names"),
        (Rest, {"endpoint": "a/", "query": "a=1"}, "Rest: query is 'a=1'; expected a mapping of text to"),
        (Rest, {"endpoint": "a/", "body": {"a": object}}, "Rest: body is {'a': <class 'object'>}; expected"),
        (Rest, {"endpoint": "a/", "rows": "data."}, "Rest: rows is 'data.'; expected a path such as"),
        (Rest, {"endpoint": "a/", "window": 9}, "Rest: window is 9, but since is None; expected since=Since"),
        (Rest, {"endpoint": "a/", "window": 9, "pages": SinglePage()}, "Rest: window is 9, but pages is Sin"),
        (Rest, {"endpoint": "a/", "end_statuses": (500,)}, "Rest: end_statuses contains 500; expected"),
        (Rest, {"endpoint": "a/", "end_statuses": [404]}, "Rest: end_statuses is [404]; expected a tuple of"),
        (Rest, {"endpoint": "a/", "query": {"skip": 1}}, "Rest: found the parameter 'skip' for two purposes"),
        (Rest, {"endpoint": "a/", "since": Since("skip")}, "Rest: found the parameter 'skip' for two"),
        (Offset, {"offset": ""}, "Offset: offset is empty; expected the name of a parameter"),
        (Offset, {"limit": "skip"}, "Offset: found the parameter 'skip' twice; expected different names"),
        (PageNumber, {"first": -1}, "PageNumber: first is -1; expected 0 or more"),
        (Token, {"at": "", "param": "cursor"}, "Token: at is ''; expected a path such as"),
        (Token, {"at": "next", "param": ""}, "Token: param is empty; expected the name of a parameter"),
        (NextLink, {"at": "links..next"}, "NextLink: at is 'links..next'; expected a path such as"),
        (Since, {"param": "a", "form": "week"}, "Since: form is 'week'; expected 'day' or 'timestamp' or"),
        (Since, {"param": "a", "template": "gte."}, "Since: template is 'gte.'; expected a text with one {}"),
        (Since, {"param": "a", "zone": "Mars"}, "Since: zone is 'Mars'; expected a time zone such as"),
        (Total, {"at": "header:"}, "Total: at is 'header:'; expected a header such as"),
        (Total, {"at": "a", "of": "some"}, "Total: of is 'some'; expected 'everything' or 'answer'"),
        (
            Total,
            {"at": "a", "endpoint": "b", "of": "answer"},
            "Total: the endpoint 'b' cannot count the rows",
        ),
        (Since, {"param": ""}, "Since: param is empty; expected the name of a parameter"),
        (Total, {"at": "a..b", "endpoint": "a/"}, "Total: at is 'a..b'; expected a path such as"),
        (Total, {"at": "", "endpoint": "a/"}, "Total: at is ''; expected a path such as"),
        (Total, {"at": "a", "endpoint": "http://a.b"}, "Total: endpoint is 'http://a.b'; expected a path"),
        (Files, {"conn_id": None}, "Files: conn_id is None; expected text"),
    ],
)
def test_what_cannot_be_is_refused_with_the_value_and_what_is_expected(
    declaration: type, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        declaration(**arguments)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("cursor", "since", "reason"),
    [
        (None, Since("a"), r"dataset 'thing' has no cursor, but its API has since=Since\('?"),
        ("day", Since("a", form="number"), "the form of Since is 'number', but the cursor is a date32"),
    ],
)
def test_a_filter_that_does_not_fit_the_cursor_is_refused(
    cursor: str | None, since: Since, reason: str
) -> None:
    columns = [Column("id", pa.int64(), nullable=False), Column("day", pa.date32(), nullable=False)]
    with pytest.raises(UsageError, match=reason):
        Dataset("thing", columns, "id", cursor, api=Rest("a/", since=since))


def test_a_path_is_names_joined_by_dots_or_a_tuple_of_names() -> None:
    assert [path_steps(path) for path in ("a.b", "edges[].node", ("@odata.nextLink",), "")] == [
        ("a", "b"),
        ("edges", "[]", "node"),
        ("@odata.nextLink",),
        (),
    ]
