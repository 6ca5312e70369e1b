"""A real HTTP server on loopback that gives the same rows in the shapes of many APIs."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import failing_server as fs

from notebook_pipeline.connections import Connection
from notebook_pipeline.declare import NextLink, Offset, PageNumber, Rest, Since, SinglePage, Token, Total

Row = dict[str, Any]
Answer = tuple[int, Mapping[str, str], object]

KEY, CURSOR = "player_id", "last_changed_date"
LARGEST = 10
"""The most rows on a page, whatever the request says."""


@dataclass
class Asked:
    """A request: its path, its query and its body."""

    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass
class Api:
    """The rows of a server, the shape in which it gives them, and what it was asked."""

    shape: "Shape"
    rows: list[Row]
    asked: list[Asked] = field(default_factory=list)
    before: dict[int, Callable[[], object]] = field(default_factory=dict)
    """What happens before the n-th request for a page is answered."""
    instead: dict[int, Answer] = field(default_factory=dict)
    """The answers to the n-th request for a page."""
    failures: dict[int, fs.Failure] = field(default_factory=dict)
    """What happens to the answer to the n-th request for a page."""
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)
    url: str = ""

    def connection(self, **parts: Any) -> Connection:
        """Return the connection that leads here."""
        address = urlsplit(self.url)
        return Connection("api", "http", **({"host": address.hostname, "port": address.port} | parts))

    @property
    def pages_asked(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path != "/counts"]

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if asked.path == "/counts":
            return 200, {}, {"things": len(self.rows)}
        number = len(self.pages_asked) - 1
        if number in self.before:
            self.before.pop(number)()
        if number in self.instead:
            return self.instead.pop(number)
        return self.shape.answer(self, asked)

    def since(self, day: str, *, excluded: bool = False) -> list[Row]:
        """Return the rows that a filter selects."""
        return [row for row in self.rows if row[CURSOR] > day or (row[CURSOR] == day and not excluded)]

    def after_key(self, rows: list[Row], token: str) -> tuple[list[Row], str]:
        """Return a page of rows in the order of their keys, and the token of the next page, or ""."""
        found = sorted((row for row in rows if row[KEY] > int(token or -1)), key=lambda row: row[KEY])
        page = found[:LARGEST]
        return page, str(page[-1][KEY]) if len(found) > len(page) else ""


@dataclass(frozen=True)
class Shape:
    """An API's declaration, and how its server answers."""

    name: str
    rest: Rest
    answer: Callable[[Api, Asked], Answer]
    page_size: int = LARGEST

    @property
    def reads_again(self) -> bool:
        """Return True if rows that move are seen."""
        return isinstance(self.rest.pages, Offset | PageNumber)


def skip_limit(api: Api, asked: Asked) -> Answer:
    rows, skip = api.since(asked.query.get("changed", "")), int(asked.query["skip"])
    return 200, {}, rows[skip : skip + min(int(asked.query["limit"]), LARGEST)]


def page_number(api: Api, asked: Asked) -> Answer:
    rows, page = api.since(asked.query.get("changed", "")), int(asked.query["page"])
    found = rows[(page - 1) * LARGEST : page * LARGEST]
    if not found and page > 1:
        return 404, {}, {"detail": "Invalid page."}
    return 200, {"X-Total-Count": str(len(rows))}, found


def size_only(api: Api, asked: Asked) -> Answer:
    """Give pages by number from 0, whose size is the server's own."""
    rows, page = api.since(asked.query.get("changed", "")), int(asked.query["p"])
    return 200, {}, {"content": rows[page * LARGEST : (page + 1) * LARGEST]}


def token(api: Api, asked: Asked) -> Answer:
    rows = api.since(asked.query.get("changed", ""), excluded=True)
    page, following = api.after_key(rows, asked.query.get("cursor", ""))
    return 200, {}, {"data": page, "meta": {"next": following or None}}


def has_more(api: Api, asked: Asked) -> Answer:
    """Give the last key of each page as its token, even on the last page."""
    rows = api.since(asked.query.get("changed", ""))
    page, following = api.after_key(rows, asked.query.get("after", ""))
    return 200, {}, {"items": page, "has_more": bool(following), "last": page[-1][KEY] if page else None}


def next_link(api: Api, asked: Asked) -> Answer:
    """Give links of the host that the server knows itself by, as behind a proxy."""
    rows = api.since(asked.query.get("changed", ""))
    page, following = api.after_key(rows, asked.query.get("cursor", ""))
    query = urlencode({**asked.query, "cursor": following})
    link = f"http://internal.invalid:9999{asked.path}?{query}" if following else None
    return 200, {}, {"count": len(rows), "next": link, "results": page}


def link_header(api: Api, asked: Asked) -> Answer:
    rows = api.since(asked.query.get("changed", ""))
    page, following = api.after_key(rows, asked.query.get("after", ""))
    first = f'<{api.url}{asked.path}>; rel="first"'
    link = f'<{api.url}{asked.path}?{urlencode({**asked.query, "after": following})}>; rel="next"'
    return 200, {"Link": f"{first}, {link}" if following else first}, page


def odata(api: Api, asked: Asked) -> Answer:
    condition = asked.query.get("$filter", "changed ge ").removeprefix("changed ge ")
    page, following = api.after_key(api.since(condition), asked.query.get("$skiptoken", ""))
    link = {"@odata.nextLink": f"?{urlencode({**asked.query, '$skiptoken': following})}"} if following else {}
    return 200, {}, {"@odata.context": "$metadata#things", "value": page, **link}


def json_api(api: Api, asked: Asked) -> Answer:
    rows = api.since(asked.query.get("filter[changed]", ""))
    page, following = api.after_key(rows, asked.query.get("page[after]", ""))
    link = f"{asked.path}?{urlencode({**asked.query, 'page[after]': following})}"
    links = {"self": asked.path, "next": {"href": link} if following else None}
    return 200, {}, {"data": page, "links": links, "meta": {"page": {"total": len(rows)}}}


def post_search(api: Api, asked: Asked) -> Answer:
    conditions = asked.body["query"].get("range", {})
    rows = api.since(conditions.get("changed", {}).get("gte", ""))
    first, size = asked.body["from"], min(asked.body["size"], LARGEST)
    return 200, {}, {"hits": {"total": len(rows), "items": rows[first : first + size]}}


def content_range(api: Api, asked: Asked) -> Answer:
    """Answer as PostgREST does."""
    rows = api.since(asked.query.get("changed", "gte.").removeprefix("gte."))
    first, size = int(asked.query["offset"]), min(int(asked.query["limit"]), LARGEST)
    found = rows[first : first + size]
    if not found and first:
        return 416, {"Content-Range": f"*/{len(rows)}"}, {"message": "Requested range not satisfiable"}
    status = 206 if len(found) < len(rows) else 200
    return status, {"Content-Range": f"{first}-{first + len(found) - 1}/{len(rows)}"}, found


def single_page(api: Api, asked: Asked) -> Answer:
    return 200, {}, {"things": api.rows}


SINCE = Since("changed")
SHAPES = [
    Shape("skip and limit", Rest("things", since=SINCE, total=Total("things", "counts")), skip_limit),
    Shape(
        "page numbers",
        Rest(
            "things",
            pages=PageNumber(),
            since=SINCE,
            total=Total("header:X-Total-Count", of="answer"),
            end_statuses=(404,),
        ),
        page_number,
    ),
    Shape("size only", Rest("things", pages=PageNumber("p", "", 0), rows="content", since=SINCE), size_only),
    Shape(
        "token",
        Rest(
            "things",
            pages=Token("meta.next", "cursor", size="limit"),
            rows="data",
            since=Since("changed", inclusive=False),
        ),
        token,
    ),
    Shape(
        "token with has_more",
        Rest("things", pages=Token("last", "after", more="has_more"), rows="items", since=SINCE),
        has_more,
    ),
    Shape(
        "next link",
        Rest(
            "things/",
            pages=NextLink("next", size="page_size"),
            rows="results",
            since=SINCE,
            total=Total("count", of="answer"),
        ),
        next_link,
    ),
    Shape("Link header", Rest("things", pages=NextLink(size="per_page"), since=SINCE), link_header),
    Shape(
        "OData",
        Rest(
            "things",
            pages=NextLink(("@odata.nextLink",)),
            rows="value",
            since=Since("$filter", template="changed ge {}"),
        ),
        odata,
    ),
    Shape(
        "JSON:API",
        Rest(
            "things",
            pages=NextLink("links.next"),
            rows="data",
            since=Since("filter[changed]"),
            total=Total("meta.page.total", of="answer"),
        ),
        json_api,
    ),
    Shape(
        "search by POST",
        Rest(
            "things/_search",
            pages=Offset("from", "size"),
            rows="hits.items",
            since=Since("query.range.changed.gte"),
            total=Total("hits.total", of="answer"),
            body={"query": {}, "sort": ["changed"]},
        ),
        post_search,
    ),
    Shape(
        "Content-Range",
        Rest(
            "things",
            pages=Offset("offset", "limit"),
            since=Since("changed", template="gte.{}"),
            total=Total("header:Content-Range", of="answer"),
            query={"order": "id", "select": "*"},
        ),
        content_range,
    ),
    Shape("single page", Rest("things", pages=SinglePage(), rows="things"), single_page),
]


class Handler(fs.Handler):
    """Answer one connection's requests; a failure may take an answer over."""

    server: "Server"  # pyright: ignore[reportIncompatibleVariableOverride]

    def setup(self) -> None:
        BaseHTTPRequestHandler.setup(self)

    def do_GET(self) -> None:  # noqa: N802
        parts, api = urlsplit(self.path), self.server.source
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        is_json = headers.get("content-type") == "application/json"
        body = json.loads(content) if is_json else content.decode()
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        with api.lock:
            status, more, answer = api.answer(Asked(parts.path, query, body, headers))
            failure = api.failures.pop(len(api.pages_asked) - 1, None)
        sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if failure:
            failure(self, sent)
        elif status == 204:
            self.send_response(204)
            self.end_headers()
        else:
            self.send(sent, status, **more)

    def do_POST(self) -> None:  # noqa: N802
        self.do_GET()


class Server(ThreadingHTTPServer):
    """Keep the API beside the socket."""

    daemon_threads = True
    block_on_close = False
    source: Api

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet: clients that went away are part of the tests."""


@contextmanager
def serving(api: Api, host: str = "127.0.0.1") -> Iterator[Api]:
    """Serve an API on loopback while the block runs."""
    server = Server((host, 0), Handler)
    server.source = api
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
