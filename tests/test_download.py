"""Remote bulk files, from real servers on loopback: whole or not at all, and no credential away from home."""

import gzip
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import fsspec
import pytest
from declared import PLAYER

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.files import download, stored_files
from notebook_pipeline.sources.files.bulk_file import fetch_bulk, read_batches
from notebook_pipeline.sources.http import retries
from tests.bulk_data import csv_bytes, folder, load, parquet_bytes, player

SECRET = "s3cret"


@dataclass(frozen=True)
class Reply:
    """What a server answers; `cut` bytes are missing at the end of the body."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


class Server(ThreadingHTTPServer):
    """Answer each path with its replies in turn, the last one for ever; keep what was asked."""

    daemon_threads = True

    def __init__(self, replies: dict[str, list[Reply]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = replies
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.headers: list[list[str]] = []

    @property
    def port(self) -> int:
        return self.server_address[1]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = cast("Server", self.server)
        server.asked.append((self.path, self.headers["Authorization"], self.headers["X-Key"]))
        server.headers.append(self.headers.keys())
        replies = server.replies.get(self.path.partition("?")[0], [Reply(status=404)])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) - reply.cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve(replies: dict[str, list[Reply]]) -> Iterator[Server]:
    with Server(replies) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = replace(retries.FILE_PATIENCE, backoff=0.001, jitter=0)
    monkeypatch.setattr(retries, "FILE_PATIENCE", quick)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def connect(server: Server) -> Connection:
    return Connection(
        "files",
        "http",
        host="127.0.0.1",
        port=server.port,
        login="me",
        password=SECRET,
        extra={"X-Key": SECRET},
    )


BASIC = "Basic bWU6czNjcmV0"
CSV = csv_bytes([player(1), player(2)])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("p.csv", CSV),
        ("p.csv.gz", gzip.compress(CSV)),
        ("a folder/p.parquet", parquet_bytes([player(1), player(2)])),
    ],
)
def test_streams_a_file_into_the_cache(tmp_path: Path, name: str, body: bytes) -> None:
    path = "/" + name.replace(" ", "%20")
    with serve({path: [Reply(body)]}) as server:
        bulk = fetch_bulk(name, connect(server), tmp_path / "cache", PLAYER)
        assert server.asked == [(path, BASIC, SECRET)]
        good, rejected, read = load(name, connect(server), tmp_path / "cache")
    sha256 = hashlib.sha256(body).hexdigest()
    [kept] = (tmp_path / "cache").iterdir()
    assert (bulk.name, bulk.sha256, bulk.parts[0].name) == (name, sha256, Path(name).name)
    assert (kept.name, kept.read_bytes()) == (f"{sha256[:16]}-{Path(name).name}", body)
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in (kept, kept.parent)] == [0o600, 0o700]
    assert (good.to_pylist(), rejected, read) == ([player(1), player(2)], [], 2)


def test_a_copy_may_be_fetched_again_while_it_is_read(tmp_path: Path) -> None:
    with serve({"/p.csv": [Reply(CSV)]}) as server:
        first, again = (fetch_bulk("p.csv", connect(server), tmp_path, PLAYER) for _ in range(2))
    assert [part.path for part in first.parts] == [part.path for part in again.parts]
    assert sum(len(batch) for batch in read_batches(first, PLAYER)) == CSV.count(b"\n") - 1


def test_takes_a_whole_url_without_the_credentials_of_another_server(tmp_path: Path) -> None:
    with serve({"/p.csv": [Reply(CSV)]}) as server, serve({}) as other:
        url = f"http://127.0.0.1:{server.port}/p.csv?token={SECRET}"
        assert (
            fetch_bulk(url, connect(other), tmp_path, PLAYER).name == f"http://127.0.0.1:{server.port}/p.csv"
        )
        assert fetch_bulk(url, folder(tmp_path), tmp_path, PLAYER).rows is None
        assert fetch_bulk(url, connect(server), tmp_path, PLAYER).rows is None
        asked = f"/p.csv?token={SECRET}"
        assert server.asked == [(asked, None, None), (asked, None, None), (asked, BASIC, SECRET)]


def test_credentials_do_not_follow_to_another_host(tmp_path: Path) -> None:
    with serve({"/elsewhere": [Reply(CSV)]}) as other:
        away = Reply(status=302, headers={"Location": f"http://127.0.0.1:{other.port}/elsewhere"})
        at_home = Reply(status=301, headers={"Location": "/next"})
        with serve({"/p.csv": [at_home], "/next": [away]}) as server:
            assert (
                fetch_bulk("p.csv", connect(server), tmp_path, PLAYER).sha256
                == hashlib.sha256(CSV).hexdigest()
            )
            assert server.asked == [("/p.csv", BASIC, SECRET), ("/next", BASIC, SECRET)]
        assert other.asked == [("/elsewhere", None, None)]


LONG = csv_bytes([player(number) for number in range(50_000)])  # more than one piece


@pytest.mark.parametrize(
    "failure", [Reply(status=503), Reply(status=429), Reply(LONG, cut=1), Reply(LONG, cut=len(LONG))]
)
def test_tries_again_from_the_start(tmp_path: Path, failure: Reply) -> None:
    with serve({"/p.csv": [failure, failure, Reply(LONG)]}) as server:
        bulk = fetch_bulk("p.csv", connect(server), tmp_path, PLAYER)
        assert len(server.asked) == 3
    assert bulk.parts[0].path.read_bytes() == LONG


UP = "check the connection's host, schema and port, and whether the server is up"
LATER = f"even after 6 tries; {UP}"
CUT = f"no complete answer (IncompleteRead: IncompleteRead({len(CSV) - 5} bytes read, 5 more expected))"
EMPTY = "(no content type) with an empty body"


def moved(target: str) -> Reply:
    return Reply(status=302, headers={"Location": target})


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(status=404), f"404 {EMPTY}; check the connection's host, and the path after it"),
        (Reply(status=401), f"401 {EMPTY}; check the login, password or token of the connection"),
        (Reply(status=500), f"500 {EMPTY}, {LATER}"),
        (Reply(CSV, cut=5), f"{CUT}, {LATER}"),
        (moved("ftp://host/x?token=x"), f"a redirect to ftp://host/x, which is not safe to follow; {UP}"),
        (moved("/p.csv"), "more than 5 redirects, the last to http://127.0.0.1:{port}/p.csv; " + UP),
    ],
)
def test_fails_with_the_address_and_leaves_nothing(tmp_path: Path, reply: Reply, message: str) -> None:
    with serve({"/p.csv": [reply]}) as server, pytest.raises(PipelineError) as error:
        fetch_bulk("p.csv", connect(server), tmp_path / "cache", PLAYER)
    address = f"http://127.0.0.1:{server.port}/p.csv"
    message = message.replace("{port}", str(server.port))
    assert str(error.value) == f"p.csv: GET {address} (connection 'files'): {message}"
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_secret_is_told_where_nobody_answers(tmp_path: Path) -> None:
    with serve({}) as server:
        port = server.port
    url = f"http://127.0.0.1:{port}/p.csv?token={SECRET}"
    with pytest.raises(PipelineError) as error:
        fetch_bulk(url, connect(server), tmp_path / "cache", PLAYER)
    assert str(error.value) == (
        f"p.csv: GET http://127.0.0.1:{port}/p.csv (connection 'files'): no complete answer "
        f"(ConnectionRefusedError: [Errno 111] Connection refused), {LATER}"
    )


def test_says_that_a_page_is_no_file(tmp_path: Path) -> None:
    with serve({"/p.csv": [Reply(b"<html>Please log in")]}) as server, pytest.raises(PipelineError) as error:
        fetch_bulk("p.csv", connect(server), tmp_path, PLAYER)
    assert str(error.value) == (
        "p.csv: found an HTML or XML page, expected CSV text in UTF-8; give it the extension of its "
        "format, or declare Files(format=…), for example 'csv'"
    )


def test_unpacks_what_a_server_packed_for_the_way(tmp_path: Path) -> None:
    packed = Reply(gzip.compress(CSV), headers={"Content-Encoding": "gzip"})
    with serve({"/p.csv": [packed], "/p.csv.gz": [packed]}) as server:
        assert (
            fetch_bulk("p.csv", connect(server), tmp_path, PLAYER).sha256 == hashlib.sha256(CSV).hexdigest()
        )
        assert (
            fetch_bulk("p.csv.gz", connect(server), tmp_path, PLAYER).sha256
            == hashlib.sha256(packed.body).hexdigest()
        )


def test_what_is_packed_by_name_stays_packed_behind_a_redirect(tmp_path: Path) -> None:
    packed = gzip.compress(CSV)
    blob = Reply(packed, headers={"Content-Encoding": "gzip"})
    with serve({"/p.csv.gz": [moved("/blob")], "/blob": [blob]}) as server:
        bulk = fetch_bulk("p.csv.gz", connect(server), tmp_path, PLAYER)
    assert bulk.sha256 == hashlib.sha256(packed).hexdigest()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"max_bytes": 20}, "200 with a body of more than 20 bytes; check that this is the right file"),
        ({"max_bytes": "lots"}, "connection 'files': `max_bytes` in its extra must be a number above 0"),
    ],
)
def test_a_connection_may_limit_what_is_copied(
    tmp_path: Path, extra: dict[str, object], message: str
) -> None:
    with serve({"/p.csv": [Reply(CSV)]}) as server, pytest.raises(PipelineError) as error:
        fetch_bulk("p.csv", replace(connect(server), extra=extra), tmp_path / "cache", PLAYER)
    assert message in str(error.value)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        ("export?format=csv", {}),
        ("/dump/8a1f", {"Content-Type": "text/csv"}),
        ("dump/8a1f", {"Content-Disposition": "attachment; filename=P.CSV"}),
        ("dump/8a1f", {"Content-Type": "text/csv", "Content-Encoding": "gzip"}),
        ("dump/8a1f", {"Content-Disposition": "attachment; filename=p.csv.gz", "Content-Encoding": "gzip"}),
        ("dump/8a1f", {"Content-Disposition": "attachment; filename=p.csv.gz"}),
    ],
)
def test_a_server_tells_the_format(tmp_path: Path, source: str, headers: dict[str, str]) -> None:
    packed = any("gz" in value for value in headers.values())
    reply = Reply(gzip.compress(CSV) if packed else CSV, headers=headers)
    path = "/" + source.lstrip("/").partition("?")[0]
    with serve({path: [reply]}) as server:
        good, rejected, _ = load(source, connect(server), tmp_path / "cache")
        assert server.asked == [("/" + source.lstrip("/"), BASIC, SECRET)]
    assert (good.to_pylist(), rejected) == ([player(1), player(2)], [])


def test_a_file_whose_format_nobody_tells_is_refused(tmp_path: Path) -> None:
    with serve({"/dump": [Reply(CSV)]}) as server, pytest.raises(PipelineError) as error:
        load("dump", connect(server), tmp_path / "cache")
    assert str(error.value).startswith("dump: found an unknown format, expected .csv, ")
    assert str(error.value).endswith("or declare Files(format=…), for example 'csv'")


NO_LENGTH = {"Content-Length": "", "Connection": "close"}


def test_a_body_of_unknown_length_must_end_with_a_row(tmp_path: Path) -> None:
    whole = Reply(LONG, headers=NO_LENGTH)
    cut = Reply(LONG[: len(LONG) * 6 // 10], headers=NO_LENGTH)
    assert not cut.body.endswith(b"\n")
    with serve({"/p.csv": [whole], "/cut.csv": [cut]}) as server:
        bulk = fetch_bulk("p.csv", connect(server), tmp_path / "cache", PLAYER)
        assert bulk.notes == ["p.csv: the server sent no length; nothing proves that the file is complete"]
        assert load("p.csv", connect(server), tmp_path / "cache")[2] == 50_000
        with pytest.raises(PipelineError) as error:
            fetch_bulk("cut.csv", connect(server), tmp_path / "cache", PLAYER)
    assert str(error.value) == (
        "cut.csv: the server sent no length and closed the connection within a row; run this again, and if "
        "the file is complete, let it end with a line break or the server send a Content-Length"
    )


@pytest.mark.parametrize("name", ["p.parquet.gz", "p.csv.gz"])
def test_what_a_file_unpacks_to_is_limited(tmp_path: Path, name: str) -> None:
    body = gzip.compress(b"PAR1" + bytes(3_000_000)) if "parquet" in name else gzip.compress(LONG)
    connection = Connection("files", "fs", extra={"path": str(tmp_path), "max_bytes": 1_000_000})
    (tmp_path / name).write_bytes(body)
    with pytest.raises(PipelineError) as error:
        load(name, connection, tmp_path / "cache")
    assert str(error.value) == (
        f"{name}: unpacks to more than 1,000,000 bytes; check that this is the right file; if so, set a "
        "larger `max_bytes` in the connection's extra"
    )
    assert [path.name for path in (tmp_path / "cache").glob("*")] == []


def test_limits_hold_for_object_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pipe("/bulk/p.csv", CSV)
    extra = {"path": "memory://bulk", "max_bytes": 20}
    with pytest.raises(PipelineError) as error:
        load("p.csv", Connection("files", "fs", extra=extra), tmp_path / "cache")
    assert str(error.value) == (
        "memory:///bulk/p.csv: found more than 20 bytes; check that this is the right file; if so, set a "
        "larger `max_bytes` in the connection's extra"
    )
    hanging = threading.Event()
    monkeypatch.setattr(
        stored_files, "_read", lambda system, path: iter(lambda: hanging.wait(20) or b"", None)
    )
    monkeypatch.setattr(download, "_OVERTIME", 0.01)
    extra = {"path": "memory://bulk", "max_seconds": 0.01}
    with pytest.raises(PipelineError) as error:
        load("p.csv", Connection("files", "fs", extra=extra), tmp_path / "cache")
    hanging.set()
    assert str(error.value) == (
        "memory:///bulk/p.csv: not read to its end within 0.01 s; run this again, or set a larger "
        "`max_seconds` in the connection's extra"
    )


def test_settings_of_files_are_not_sent(tmp_path: Path) -> None:
    extra = {"storage_options": {"secret": SECRET}, "max_bytes": 10_000, "max_seconds": 60, "allow": ["/x"]}
    with serve({"/p.csv": [Reply(CSV)]}) as server:
        load("p.csv", replace(connect(server), extra=extra), tmp_path / "cache")
        [sent] = server.headers
    assert {name.lower() for name in sent} == {
        "host",
        "user-agent",
        "accept-encoding",
        "accept",
        "connection",
        "authorization",
    }


def test_http_has_no_folders(tmp_path: Path) -> None:
    with serve({}) as server, pytest.raises(PipelineError) as error:
        fetch_bulk("in/*", connect(server), tmp_path, PLAYER)
    assert str(error.value) == (
        f"http://127.0.0.1:{server.port}/in/%2A: HTTP supports no folders or globs; name one file, .csv, "
        ".tsv, .parquet, .json, .jsonl or .ndjson, optionally followed by .gz, .zst, .bz2, .xz or .zip"
    )


def test_reads_whatever_fsspec_opens(tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    store.store.clear()
    for name, player_id in {
        "b.csv": 3,
        "in/a.csv": 1,
        "in/sub/b.csv": 2,
        "in/_x.csv": 9,
        "in/about.md": 9,
    }.items():
        store.pipe(f"/bulk/{name}", csv_bytes([player(player_id)]))

    def found(source: str, connection: Connection) -> list[tuple[str, object]]:
        bulk = fetch_bulk(source, connection, tmp_path / "cache", PLAYER)
        ids = [batch.columns["player_id"][0].as_py() for batch in read_batches(bulk, PLAYER) if batch.columns]
        return list(zip([part.name for part in bulk.parts], ids, strict=True))

    stored = Connection("files", "fs", extra={"path": "memory://bulk/"})
    assert found("memory://bulk/in/a.csv", folder(tmp_path)) == [("a.csv", "1")]
    assert found("b.csv", stored) == [("b.csv", "3")]
    assert found("in", stored) == [("a.csv", "1"), ("sub/b.csv", "2")]
    assert found("in/a*.csv", stored) == [("a.csv", "1")]
    with pytest.raises(PipelineError) as error:
        found("none.csv", stored)
    assert str(error.value).startswith(
        "no file memory://bulk/none.csv; expected a name, folder or glob of .csv"
    )


def test_forgets_what_was_fetched_days_ago(tmp_path: Path) -> None:
    for name, days in {"old.csv": 3, "killed.part": 3, "new.csv": 1}.items():
        (tmp_path / name).write_bytes(b"")
        then = (tmp_path / name).stat().st_mtime - days * 86_400
        os.utime(tmp_path / name, (then, then))
    with serve({"/p.csv": [Reply(CSV)]}) as server:
        fetch_bulk("p.csv", connect(server), tmp_path, PLAYER)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{hashlib.sha256(CSV).hexdigest()[:16]}-p.csv",
        "new.csv",
    ]


def test_says_where_a_file_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file, no folder")
    with serve({"/p.csv": [Reply(CSV)]}) as server, pytest.raises(PipelineError) as error:
        fetch_bulk("p.csv", connect(server), tmp_path / "cache", PLAYER)
    assert str(error.value).startswith(f"p.csv: cannot be written to {tmp_path}/cache: ")
