"""A real HTTP server on loopback that speaks the SWC contract and misbehaves as it is told."""

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from waiting import own_port

from notebook_pipeline.connections import Connection
from sample.players import changed_players, performances

Row = dict[str, object]
JSON = "application/json"


def make_rows(count: int, seed: int = 7) -> list[Row]:
    """Return players as the API sends them."""
    players = changed_players(count, seed, changed=count // 3, new=0).to_pylist()
    nested = performances([row["player_id"] for row in players], seed)
    return [
        row | {"last_changed_date": str(row["last_changed_date"]), "performances": played}
        for row, played in zip(players, nested, strict=True)
    ]


@dataclass
class Request:
    """What was asked."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def skip(self) -> int:
        return int(self.query.get("skip", 0))


class Handler(BaseHTTPRequestHandler):
    """Answer one connection's requests; a failure may take an answer over."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Server"  # pyright: ignore[reportIncompatibleVariableOverride]

    def setup(self) -> None:
        super().setup()
        with self.server.source.lock:
            self.server.source.connections += 1

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            parts.path, dict(parse_qsl(parts.query)), {k.lower(): v for k, v in self.headers.items()}
        )
        source = self.server.source
        with source.lock:
            source.requests.append(request)
            failure = source.next_failure(request)
            body = source.answer(request)
        if failure:
            failure(self, body)
        else:
            self.send(body)

    def send(self, body: bytes, status: int = 200, content_type: str | None = JSON, **headers: str) -> None:
        """Send a whole answer; `length=` overrides what Content-Length says."""
        length = headers.pop("length", str(len(body)))
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        """Close the connection in the middle."""
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Keep the source beside the socket."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    source: "Source"

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet: clients that went away are part of the tests."""


Failure = Callable[[Handler, bytes], None]


@dataclass
class Source:
    """The server's rows, what it was asked, and what it does wrong."""

    rows: list[Row]
    cap: int = 10**9
    ignores_skip: bool = False
    total: int | None = None
    failures: dict[int, Failure] = field(default_factory=dict)
    """The n-th request for a page (from 0), whichever page it is, meets this failure."""
    always: Failure | None = None
    """Every request for a page meets this failure."""
    everywhere: Failure | None = None
    """Every request meets this failure."""
    before: dict[int, Callable[[], object]] = field(default_factory=dict)
    """What happens to the rows before the n-th request for a page is answered."""
    requests: list[Request] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    closing: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    connections: int = 0

    @property
    def pages_asked(self) -> list[Request]:
        return [request for request in self.requests if request.path == "/v0/players/"]

    def connection(self, **parts: object) -> Connection:
        """Return the connection that leads here."""
        address = urlsplit(self.url)
        given = {"host": address.hostname, "port": address.port} | parts
        return Connection("sportsworldcentral_url", "http", **given)  # pyright: ignore[reportArgumentType]

    def next_failure(self, request: Request) -> Failure | None:
        if request.path != "/v0/players/" or self.everywhere:
            return self.everywhere
        number = len(self.pages_asked) - 1
        if number in self.before:
            self.before.pop(number)()
        return self.always or self.failures.pop(number, None)

    def answer(self, request: Request) -> bytes:
        if request.path == "/v0/counts/":
            total = len(self.rows) if self.total is None else self.total
            return json.dumps({"league_count": 5, "player_count": total}).encode()
        if request.path != "/v0/players/":
            return b'{"message": "API health check successful"}'
        since = request.query.get("minimum_last_changed_date", "")
        rows = [row for row in self.rows if str(row["last_changed_date"]) >= since]
        skip = 0 if self.ignores_skip else request.skip
        limit = min(int(request.query.get("limit", 100)), self.cap)
        return json.dumps(rows[skip : skip + limit], ensure_ascii=False).encode()


@contextmanager
def serving(source: Source, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Source]:
    """Serve a source on loopback while the block runs."""
    server = Server(("127.0.0.1", port), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.source = source
    source.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield source
    finally:
        source.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


free_port = own_port
"""Return a port on which nobody listens, unless the test does."""


def status(code: int, **headers: str) -> Failure:
    return lambda handler, _: handler.send(b"<html>not now</html>", code, "text/html", **headers)


def instead(body: bytes, content_type: str | None = JSON, **headers: str) -> Failure:
    return lambda handler, _: handler.send(body, 200, content_type, **headers)


def changed(change: Callable[[list[Row]], object]) -> Failure:
    """Send the page's rows after a change to them."""

    def send(handler: Handler, body: bytes) -> None:
        rows = json.loads(body)
        change(rows)
        handler.send(json.dumps(rows).encode())

    return send


def encoded(encoding: str, content_type: str) -> Failure:
    return lambda handler, body: handler.send(body.decode().encode(encoding), content_type=content_type)


def redirect(location: str, code: int = 302) -> Failure:
    return lambda handler, _: handler.send(b"moved", code, "text/plain", Location=location)


def reset(handler: Handler, _: bytes) -> None:
    """Reset the connection without an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.hang_up()


def cut(handler: Handler, body: bytes) -> None:
    """Send half of what Content-Length promised."""
    handler.send(body[: len(body) // 2], length=str(len(body)))
    handler.hang_up()


def cut_without_length(handler: Handler, body: bytes) -> None:
    """Send half of a body whose end is the end of the connection."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body[: len(body) // 2])
    handler.hang_up()


def cut_chunks(handler: Handler, body: bytes) -> None:
    """Send half of a chunked body."""
    half = body[: len(body) // 2]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    handler.wfile.write(head + f"{len(half):x}\r\n".encode() + half + b"\r\n")
    handler.hang_up()


def chunks(handler: Handler, body: bytes) -> None:
    """Send a whole chunked body, as many servers do."""
    half = len(body) // 2
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = [f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (body[:half], body[half:])]
    handler.wfile.write(head + b"".join(parts) + b"0\r\n\r\n")


def stall(handler: Handler, body: bytes) -> None:
    """Send half of a body and then nothing."""
    handler.send(body[: len(body) // 2], length=str(len(body)))
    handler.server.source.closing.wait()
    handler.hang_up()


def trickle(handler: Handler, body: bytes) -> None:
    """Send a body byte by byte, for ever."""
    handler.send(b"[", length="1000000")
    while not handler.server.source.closing.wait(0.01):
        handler.wfile.write(b" ")


def trickle_headers(handler: Handler, _: bytes) -> None:
    """Never come to the end of the headers."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not handler.server.source.closing.wait(0.01):
        handler.wfile.write(b"x")


def endless(handler: Handler, _: bytes) -> None:
    """Send a page of players that were never there before."""
    start = 10**6 + 10 * len(handler.server.source.requests)
    rows = make_rows(10)
    handler.send(json.dumps([row | {"player_id": start + index} for index, row in enumerate(rows)]).encode())
