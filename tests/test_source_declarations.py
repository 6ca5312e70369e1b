"""Where a dataset says that its rows come from."""

from typing import Any

import pytest

from notebook_pipeline.declare import Files, Offset, Rest, Since, Total
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
        (Offset, {"limit": ""}, "Offset: limit is empty; expected the name of a parameter"),
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
