"""How an API divides its rows into pages is declared if its answers show it, whatever its shape."""

from dataclasses import replace

import api_shapes
import pytest
from api_shapes import CURSOR, KEY, Answer, Api, Asked, Shape

from notebook_pipeline.declare import Rest
from notebook_pipeline.discovery.api_answers import Endpoint
from notebook_pipeline.discovery.paging_seen import pages_of, total_of
from notebook_pipeline.discovery.python_layout import one_line

ROWS = [{KEY: number, CURSOR: f"2024-01-{number % 28 + 1:02d}"} for number in range(23)]
USUAL = {"skip": "0", "limit": "10", "offset": "0", "page": "1", "p": "0"}


def by_page(api: Api, asked: Asked) -> Answer:
    """Give pages by number, whose size may be asked for."""
    page, size = int(asked.query["page"]), int(asked.query.get("per_page", 10))
    return 200, {}, {"things": api.rows[(page - 1) * size : page * size], "total": len(api.rows)}


SEEN = {
    "skip_limit": (api_shapes.skip_limit, "Offset()", None),
    "content_range": (
        api_shapes.content_range,
        'Offset("offset", "limit")',
        'Total("header:Content-Range")',
    ),
    "page_number": (
        api_shapes.page_number,
        'PageNumber("page", "")',
        'Total("header:X-Total-Count")',
    ),
    "by_page": (by_page, "PageNumber()", 'Total("total")'),
    "size_only": (api_shapes.size_only, 'PageNumber("p", "", first=0)', None),
    "token": (api_shapes.token, 'Token("meta.next", "cursor")', None),
    "next_link": (api_shapes.next_link, 'NextLink(at="next")', 'Total("count")'),
    "link_header": (api_shapes.link_header, "NextLink()", None),
    "odata": (api_shapes.odata, 'NextLink(at=("@odata.nextLink",))', None),
    "json_api": (api_shapes.json_api, 'NextLink(at="links.next")', 'Total("meta.page.total")'),
    "single_page": (api_shapes.single_page, None, None),
}


@pytest.mark.parametrize("name", SEEN)
def test_pages_are_declared_as_the_answers_show_them(name: str) -> None:
    answer, pages, total = SEEN[name]
    # An API has values of its own for parameters that a request leaves out.
    shape = Shape(
        name, Rest("things"), lambda api, asked: answer(api, replace(asked, query=USUAL | asked.query))
    )
    with (
        api_shapes.serving(Api(shape, list(ROWS))) as api,
        Endpoint(api.connection(), "things") as asked,
    ):
        first = asked.first("")
        found = pages_of(asked, first, set())
        counted = total_of(first, has_pages=found is not None)
    assert (found and one_line(found), counted and one_line(counted)) == (pages, total)
