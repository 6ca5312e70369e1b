"""Serve pages of changed players on loopback, all rendered before the first request: server ROWS.

Prints its address when it is ready. Answers cost next to nothing, so that only the client is measured.
Filters are ignored, because every row is newer than any filter.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import orjson

from benchmarks.data import changed
from sample.players import performances

PAGE = 5_000


class Server(ThreadingHTTPServer):
    """A server of prepared answers, headers included."""

    daemon_threads = True

    def __init__(self, rows: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        counts = {"league_count": 5, "team_count": 20, "player_count": rows, "week_count": 3}
        self.counts = _answer(orjson.dumps(counts))
        self.pages = [_answer(page) for page in render(rows)]
        self.end = _answer(b"[]")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server  # type: ignore[assignment]

    def do_GET(self) -> None:
        """Send a page, or the counts."""
        url = urlsplit(self.path)
        if url.path == "/v0/counts/":
            self.wfile.write(self.server.counts)
            return
        query = parse_qs(url.query)
        if url.path != "/v0/players/" or query["limit"] != [str(PAGE)]:
            self.send_error(404)
            return
        page = int(query["skip"][0]) // PAGE if "skip" in query else 0
        pages = self.server.pages
        self.wfile.write(pages[page] if page < len(pages) else self.server.end)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def render(rows: int) -> list[bytes]:
    """Return the pages as the sample API sends them, with the performances nested in each player."""
    pages = changed(rows).to_batches(max_chunksize=PAGE)
    return [_rendered(page.to_pylist()) for page in pages]


def _rendered(page: list[dict]) -> bytes:
    nested = performances([row["player_id"] for row in page])
    return orjson.dumps([row | {"performances": played} for row, played in zip(page, nested, strict=True)])


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


if __name__ == "__main__":
    server = Server(int(sys.argv[1]))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
