"""How an API divides its rows into pages: what its answers say, or what a few questions prove."""

from collections.abc import Collection, Sequence
from itertools import product

from notebook_pipeline.declare.paths import Path
from notebook_pipeline.discovery.api_answers import Endpoint, SeenAnswer, beside
from notebook_pipeline.discovery.python_layout import Call, Item, call, literal
from notebook_pipeline.sources.http.paging_shapes import next_of

_LINKS = {"next", "nexturl", "nextlink", "@odata.nextlink", "nextpageurl"}
_TOKENS = {"next", "after", "cursor", "nextcursor", "nexttoken", "nextpagetoken"}
_TOKEN_PARAMETERS = ("cursor", "page_token", "pageToken", "token", "next_token", "after", "next_cursor")
_OFFSETS = ("skip", "offset", "$skip", "start")
_SIZES = ("limit", "per_page", "page_size", "pageSize", "size", "$top", "count")
_PAGES = ("page", "page_number", "pageNumber", "p")
_COMMON = (("skip", "limit"), ("offset", "limit"), ("$skip", "$top"))
_COMMON_PAGES = (("page", "per_page"), ("page", "page_size"), ("page", "limit"), ("page", "size"))
_TOTALS = {"total", "count", "totalcount", "totalresults", "totalrows", "@odata.count"}
_HEADERS = {"x-total-count": "X-Total-Count", "x-total": "X-Total", "content-range": "Content-Range"}


def pages_of(endpoint: Endpoint, first: SeenAnswer, known: Collection[str]) -> Call | None:
    """Return how pages are asked for, or None if nothing shows it; `known` are the parameters described."""
    if next_of(first.headers.get("link", "")):
        return Call("NextLink")
    for path, value in beside(first):
        if _last(path) in _LINKS and (value is None or _is_link(value)):
            return Call("NextLink", [Item(literal(path), "at")])
    return _token(endpoint, first, known) or _by_number(endpoint, first, known)


def total_of(first: SeenAnswer, *, has_pages: bool) -> Call | None:
    """Return where the number of all rows stands, if it is more than those of the first answer, or all."""
    for header, name in _HEADERS.items():
        count = first.headers.get(header, "").rpartition("/")[2].strip()
        if count.isdecimal() and int(count) >= len(first.rows):
            return call("Total", f"header:{name}")
    for path, value in beside(first):
        if _last(path) in _TOTALS and isinstance(value, int) and not isinstance(value, bool):
            is_sure = value > len(first.rows) or (value == len(first.rows) and not has_pages)
            return call("Total", path) if is_sure else None
    return None


def _last(path: Path) -> str:
    """Return the last name of a path in lower case, without the _ between its words."""
    name = path.rpartition(".")[2] if isinstance(path, str) else path[-1]
    return name.lower().replace("_", "")


def _is_link(value: object) -> bool:
    link = value.get("href") if isinstance(value, dict) else value
    return isinstance(link, str) and link.startswith(("http://", "https://", "/", "?"))


def _token(endpoint: Endpoint, first: SeenAnswer, known: Collection[str]) -> Call | None:
    """Return pages by a token, if a question with it gives other rows."""
    for path, value in beside(first):
        if _last(path) not in _TOKENS or not isinstance(value, str | int) or not value:
            continue
        for param in _named(_TOKEN_PARAMETERS, known):
            answer = endpoint.ask({param: value}, first.path)
            if answer and answer.rows and answer.rows[0] not in first.rows:
                return call("Token", path, param)
    return None


def _by_number(endpoint: Endpoint, first: SeenAnswer, known: Collection[str]) -> Call | None:
    """Return pages by offset or number, if questions for small pages give the rows of the first answer."""
    size = min(2, len(first.rows) // 2)
    if not size:
        return None
    offsets = list(product(_named(_OFFSETS, known), _named(_SIZES, known))) if known else _COMMON
    for offset, limit in offsets:
        if _gives(endpoint, first, {offset: size, limit: size}, size, size):
            same = (offset, limit) == ("skip", "limit")
            return call("Offset") if same else call("Offset", offset, limit)
    pages = list(product(_named(_PAGES, known), _named(_SIZES, known))) if known else _COMMON_PAGES
    for page, limit in pages:
        for number in (1, 0):
            if _gives(endpoint, first, {page: number, limit: size}, 0, size) and _gives(
                endpoint, first, {page: number + 1, limit: size}, size, size
            ):
                return _page_number(page, limit, number)
    return _of_fixed_size(endpoint, first, known)


def _of_fixed_size(endpoint: Endpoint, first: SeenAnswer, known: Collection[str]) -> Call | None:
    """Return pages by number whose size is the server's own, if the next number gives other rows."""
    for page in _named(_PAGES, known):
        for number in (1, 0):
            if not _gives(endpoint, first, {page: number}, 0, len(first.rows)):
                continue
            second = endpoint.ask({page: number + 1}, first.path)
            if second and second.rows and not any(row in first.rows for row in second.rows):
                return _page_number(page, "", number)
    return None


def _page_number(page: str, size: str, first: int) -> Call:
    given = (page, size) if (page, size) != ("page", "per_page") else ()
    return call("PageNumber", *given, **({} if first else {"first": 0}))


def _gives(endpoint: Endpoint, first: SeenAnswer, query: dict[str, object], start: int, size: int) -> bool:
    answer = endpoint.ask(query, first.path)
    return answer is not None and list(answer.rows) == list(first.rows[start : start + size])


def _named(names: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the names that are described, or all of them if nothing is."""
    return [name for name in names if name in known] if known else [*names]


def page_query(pages: Call | None, rows: int) -> dict[str, object]:
    """Return the query for a first page of so many rows, or none if its size cannot be asked for."""
    if pages is None or pages.name != "Offset":
        return {}
    offset, limit = [str(item.value).strip('"') for item in pages.items] or ["skip", "limit"]
    return {offset: 0, limit: rows}
