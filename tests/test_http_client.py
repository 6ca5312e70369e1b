"""One answer is fetched with patience that ends, and no credential goes where it does not belong."""

import base64
import gzip
import logging
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from errno import ECONNREFUSED, ENOSPC
from functools import partial
from typing import Any

import failing_server as fs
import pytest

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.http.http_client import Client, Patience

QUICK = Patience(tries=3, backoff=0.001, jitter=0.001, silence=20, budget=600)
ROWS = fs.make_rows(30)
SECRET = "s3cret-Passw0rd-of-the-api"


@pytest.fixture
def source():
    with fs.serving(fs.Source(ROWS)) as source:
        yield source


class Pauses(list):
    """Remember how long a client would have paused, without waiting."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def get(
    source: fs.Source, patience: Patience = QUICK, pauses: Pauses | None = None, **connection: Any
) -> bytes:
    with Client(source.connection(**connection), patience, pause=pauses) as client:
        url = client.address("v0/players/", {"skip": 0, "limit": 100})
        future = client.start(partial(client.get, url, what="page 0", shape="list"))
        return client.wait(future, url, what="page 0").body


def expected(source: fs.Source) -> bytes:
    return source.answer(fs.Request("/v0/players/", {"limit": "100"}, {}))


def error_of(source: fs.Source, patience: Patience = QUICK, **connection: Any) -> str:
    with pytest.raises(PipelineError) as caught:
        get(source, patience, None, **connection)
    message = str(caught.value)
    assert message.startswith(f"page 0: GET {source.url}/v0/players/?skip=0&limit=100 (connection 'sports"), (
        message
    )
    assert "; " in message, "what to do is missing"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


PASSING = {
    "429": fs.status(429),
    "429 with seconds": fs.status(429, Retry_After="86400"),
    "429 with nonsense": fs.status(429, Retry_After="soon, thanks"),
    "429 with a huge number": fs.status(429, Retry_After="9" * 5000),
    "500": fs.status(500),
    "502": fs.status(502),
    "503": fs.status(503),
    "504": fs.status(504),
    "520": fs.status(520),
    "529": fs.status(529),
    "503 with 0": fs.status(503, Retry_After="0"),
    "reset": fs.reset,
    "cut": fs.cut,
    "cut without length": fs.cut_without_length,
    "cut chunks": fs.cut_chunks,
    "HTML": fs.instead(b"<html>maintenance</html>", "text/html"),
    "empty body": fs.instead(b""),
    "no type": fs.instead(b"", None),
    "not gzip": fs.instead(b"[]", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_failure_that_passes_is_tried_again(source: fs.Source, name: str):
    source.failures[0] = PASSING[name]
    assert get(source, pauses=Pauses()) == expected(source)
    assert len(source.requests) == 2


@pytest.mark.parametrize("name", PASSING)
def test_a_failure_that_stays_fails_after_the_tries(source: fs.Source, name: str):
    source.always = PASSING[name]
    with pytest.raises(PipelineError, match="even after 3 tries"):
        get(source, pauses=Pauses())
    assert len(source.requests) == 3


@pytest.mark.parametrize("code", [204, 400, 401, 403, 404, 410, 422, 501, 505])
def test_other_statuses_fail_at_once(source: fs.Source, code: int):
    source.always = fs.status(code)
    assert f": {code} (text/html)" in error_of(source)
    assert len(source.requests) == 1


def test_json_of_another_shape_fails_at_once(source: fs.Source):
    source.always = fs.instead(b'{"detail": "no list"}')
    assert "expected a JSON list; compare it with the declaration" in error_of(source)
    assert len(source.requests) == 1


def test_the_error_shows_what_came_and_what_to_do(source: fs.Source):
    source.always = fs.status(401)
    message = error_of(source)
    assert message.endswith(
        "401 (text/html) '<html>not now</html>'; check the login, password or token of the connection"
    )


def test_a_warning_tells_of_each_new_try(source: fs.Source, caplog: pytest.LogCaptureFixture):
    source.failures[0] = fs.status(503)
    with caplog.at_level(logging.WARNING, logger="notebook_pipeline"):
        get(source)
    assert "503 (text/html) '<html>not now</html>'; retrying in" in caplog.text


SOON, LATE, PAST = "100 s from now", "9 days from now", "9 days ago"
DATES = {SOON: timedelta(seconds=100), LATE: timedelta(days=9), PAST: -timedelta(days=9)}


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [
        ("7", 7, 7),
        ("86400", 120, 120),
        (SOON, 1, 100),
        (LATE, 120, 120),
        (PAST, 0.001, 0.002),
        ("0", 0.001, 0.002),
        ("-5", 0.001, 0.002),
        ("nonsense", 0.001, 0.002),
        ("", 0.001, 0.002),
    ],
)
def test_retry_after_is_honoured_but_capped(source: fs.Source, asked: str, low: float, high: float):
    if asked in DATES:
        asked = format_datetime(datetime.now(UTC) + DATES[asked], usegmt=True)
    source.failures[0] = fs.status(429, Retry_After=asked)
    pauses = Pauses()
    get(source, Patience(tries=3, backoff=0.001, jitter=0.001), pauses)
    assert len(pauses) == 1
    assert low <= pauses[0] <= high


SECONDS, EPOCH = "60", "an epoch, 60 s from now"


@pytest.mark.parametrize("code", [403, 429])
@pytest.mark.parametrize("header", ["Retry_After", "X_RateLimit_Reset", "RateLimit_Reset"])
@pytest.mark.parametrize("asked", [SECONDS, EPOCH, "59.5"])
def test_a_limit_of_requests_is_waited_for(source: fs.Source, code: int, header: str, asked: str):
    asked = str(int(time.time()) + 60) if asked == EPOCH else asked
    source.failures[0] = fs.status(code, **{header: asked, "X_RateLimit_Remaining": "0"})
    pauses = Pauses()
    assert get(source, pauses=pauses) == expected(source)
    assert len(pauses) == 1
    assert 55 <= pauses[0] <= 60


def test_a_limit_of_requests_is_waited_for_as_long_as_the_budget(source: fs.Source):
    source.always = fs.status(403, X_RateLimit_Reset="500")
    pauses = Pauses()
    with pytest.raises(PipelineError, match=r"403 .* even after 3 tries"):
        get(source, pauses=pauses)
    assert pauses == [500, 500]


@pytest.mark.parametrize("headers", [{}, {"X_RateLimit_Reset": "60", "X_RateLimit_Remaining": "4998"}])
def test_what_is_forbidden_otherwise_is_not_waited_for(source: fs.Source, headers: dict[str, str]):
    source.always = fs.status(403, **headers)
    assert "check the permissions of the connection's login or token" in error_of(source)
    assert len(source.requests) == 1


def test_a_reset_of_the_limit_says_nothing_about_other_errors(source: fs.Source):
    source.failures[0] = fs.status(503, X_RateLimit_Reset="60")
    pauses = Pauses()
    get(source, pauses=pauses)
    assert pauses[0] < 1


def test_pauses_grow_and_are_jittered(source: fs.Source):
    source.always = fs.status(500)
    first, second = Pauses(), Pauses()
    for pauses in (first, second):
        with pytest.raises(PipelineError):
            get(source, Patience(tries=6, backoff=1, jitter=1, backoff_max=10), pauses)
    for number, (low, high) in enumerate([(1, 2), (2, 3), (4, 5), (8, 9), (10, 10)]):
        assert low <= first[number] <= high
    assert first[:4] != second[:4]


def test_a_pause_beyond_the_budget_is_not_begun(source: fs.Source):
    source.always = fs.status(429, Retry_After="90")
    message = error_of(source, Patience(budget=30))
    assert "429 (text/html)" in message
    assert "the time limit of 30 s for all requests was reached" in message
    assert len(source.requests) == 1


def test_nobody_listening_is_named():
    port = fs.free_port()
    connection = Connection("sportsworldcentral_url", "http", host="127.0.0.1", port=port)
    with Client(connection, QUICK) as client, pytest.raises(PipelineError) as caught:
        client.get(client.address("/"), what="health check")
    assert str(caught.value) == (
        f"health check: GET http://127.0.0.1:{port}/ (connection 'sportsworldcentral_url'): "
        "no complete answer "
        f"(ConnectionRefusedError: [Errno {ECONNREFUSED}] {os.strerror(ECONNREFUSED)}), "
        "even after 3 tries; "
        "check the connection's host, schema and port, and whether the server is up"
    )


def test_a_server_that_comes_up_between_tries_is_reached():
    port = fs.free_port()
    servers = []

    def start(_: float) -> None:
        servers.append(fs.serving(fs.Source(ROWS), port))
        servers[-1].__enter__()

    connection = Connection("sportsworldcentral_url", "http", host="127.0.0.1", port=port)
    try:
        with Client(connection, QUICK, pause=start) as client:
            assert b"successful" in client.get(client.address("/"), what="health check").body
    finally:
        for server in servers:
            server.__exit__(None, None, None)


def test_a_silent_server_is_left_after_the_read_timeout(source: fs.Source):
    source.always = fs.stall
    assert "TimeoutError: timed out" in error_of(
        source, Patience(tries=2, silence=0.2, backoff=0.001, jitter=0)
    )
    assert len(source.requests) == 2


def test_a_trickling_body_is_left_after_the_time_for_an_answer(source: fs.Source):
    source.always = fs.trickle
    message = error_of(source, Patience(tries=2, answer=0.3, backoff=0.001, jitter=0))
    assert "bytes in 0.3 s" in message
    assert len(source.requests) == 2


def test_headers_that_never_end_are_left_after_the_budget(source: fs.Source):
    source.always = fs.trickle_headers
    began = time.monotonic()
    assert "the time limit of 0.2 s for all requests was reached" in error_of(source, Patience(budget=0.2))
    assert time.monotonic() - began < 30


def test_the_body_of_a_redirect_is_not_read(source: fs.Source):
    source.failures[0] = redirect_with_endless_body
    assert get(source) == expected(source)


def redirect_with_endless_body(handler: fs.Handler, _: bytes) -> None:
    handler.send(b"moved", 302, Location="/v0/players/?limit=100", length="1000000")
    handler.server.source.closing.wait()


def test_a_body_that_is_too_large_is_not_taken(source: fs.Source):
    source.always = fs.instead(b"[" + b" " * 5_000_000 + b"]")
    assert "a body of more than 1,000,000 bytes" in error_of(source, Patience(max_bytes=1_000_000))
    assert len(source.requests) == 1


def test_a_small_body_that_unpacks_to_a_large_one_is_not_taken(source: fs.Source):
    packed = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    source.always = fs.instead(packed, Content_Encoding="gzip")
    assert "a body of more than 1,000,000 bytes" in error_of(source, Patience(max_bytes=1_000_000))


@pytest.mark.parametrize(
    "failure", [fs.chunks, fs.instead(gzip.compress(b"[1, 2]"), Content_Encoding="gzip")]
)
def test_chunked_and_compressed_bodies_are_read(source: fs.Source, failure: fs.Failure):
    source.failures[0] = failure
    assert get(source) in (expected(source), b"[1, 2]")
    assert len(source.requests) == 1


def test_connections_are_used_again(source: fs.Source):
    with Client(source.connection(), QUICK) as client:
        for number in range(5):
            client.get(client.address("v0/players/"), what=f"page {number}")
    assert len(source.requests) == 5
    assert source.connections == 1


def test_a_time_out_of_the_disk_is_not_the_end_of_the_budget(source: fs.Source):
    def ask() -> None:
        raise TimeoutError("the disk's")

    with Client(source.connection(), QUICK) as client, pytest.raises(TimeoutError, match="the disk's"):
        client.wait(client.start(ask), source.url, what="page 0")


def test_a_closed_client_asks_no_more(source: fs.Source):
    source.always = fs.status(503)
    with Client(source.connection(), Patience(backoff=30, tries=9)) as client:
        url = client.address("v0/players/")
        future = client.start(partial(client.get, url, what="page 0"))
        while not source.requests:
            time.sleep(0.01)
    with pytest.raises(PipelineError, match="the client was closed"):
        future.result(timeout=20)
    assert len(source.requests) == 1


# Files


def take(pieces: Iterator[bytes]) -> bytes:
    return b"".join(pieces)


def stream(source: fs.Source, taken: Callable[[Iterator[bytes]], bytes] = take, **options: Any) -> bytes:
    patience = options.pop("patience", QUICK)
    with Client(source.connection(**options.pop("connection", {})), patience, pause=Pauses()) as client:
        url = client.address("v0/players/", {"limit": 100, "sig": SECRET})
        return client.stream(url, taken, what="p.csv", **options)


# A file may be anything, also empty, and one without a length ends where the connection does.
ANY_FILE = {"HTML", "empty body", "no type", "cut without length"}


@pytest.mark.parametrize("name", [name for name in PASSING if name not in ANY_FILE])
def test_a_file_is_streamed_again_from_its_start(source: fs.Source, name: str):
    source.failures[0] = PASSING[name]
    assert stream(source) == expected(source)
    assert len(source.requests) == 2


def test_a_file_is_asked_for_as_it_lies_there(source: fs.Source):
    packed = gzip.compress(b"a,b")
    source.always = fs.instead(packed, Content_Encoding="gzip")
    assert (stream(source), stream(source, decode=False)) == (b"a,b", packed)
    sent = source.requests[0].headers
    assert (sent["accept"], sent["accept-encoding"]) == ("*/*", "identity")


def test_a_file_that_is_too_large_is_not_taken(source: fs.Source):
    source.always = fs.instead(b" " * 2_000_000)
    with pytest.raises(PipelineError) as caught:
        stream(source, patience=Patience(max_bytes=1_000_000))
    assert str(caught.value) == (
        f"p.csv: GET {source.url}/v0/players/ (connection 'sportsworldcentral_url'): "
        "200 with a body of more than 1,000,000 bytes; "
        "check that this is the right file; if so, set a larger `max_bytes` in the connection's extra"
    )
    assert len(source.requests) == 1


def test_a_file_that_says_it_is_too_large_is_not_begun(source: fs.Source):
    source.always = fs.trickle  # it says a million
    with pytest.raises(PipelineError, match="a body of more than 999,999 bytes"):
        stream(source, patience=Patience(max_bytes=999_999))


@pytest.mark.parametrize("failure", [fs.trickle, fs.trickle_headers, fs.stall])
def test_a_file_that_takes_too_long_is_left(source: fs.Source, failure: fs.Failure):
    source.always = failure
    began = time.monotonic()
    with pytest.raises(PipelineError) as caught:
        stream(source, patience=Patience(answer=0.3, budget=0.3))
    assert "and the time limit of 0.3 s for all requests was reached; run this again, or set a larger" in str(
        caught.value
    )
    assert time.monotonic() - began < 30


def test_an_error_of_the_disk_is_not_the_servers(source: fs.Source):
    def fail(_: Iterator[bytes]) -> bytes:
        raise OSError(ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        stream(source, fail)
    assert len(source.requests) == 1


def test_a_file_elsewhere_is_asked_for_without_credentials(source: fs.Source):
    with fs.serving(fs.Source(ROWS)) as other:
        connection = source.connection(login="ann", password=SECRET, extra={"X-API-Key": SECRET})
        with Client(connection, QUICK) as client:
            client.stream(f"{other.url}/p.csv", take, what="p.csv")
            other.everywhere = fs.status(401)
            with pytest.raises(PipelineError) as caught:
                client.stream(f"{other.url}/p.csv?sig=1", take, what="p.csv")
    assert not {"authorization", "x-api-key"} & other.requests[0].headers.keys()
    assert f"GET {other.url}/p.csv (connection" in str(caught.value)
    assert str(caught.value).endswith("the connection's credentials are sent to its own server only")


# Credentials


def basic(login: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


AUTHENTICATED = [
    ({"login": "ann", "password": SECRET}, {"authorization": basic("ann", SECRET)}),
    ({"login": "jörg", "password": "pässwörd-ñ"}, {"authorization": basic("jörg", "pässwörd-ñ")}),
    ({"extra": {"Authorization": f"Bearer {SECRET}"}}, {"authorization": f"Bearer {SECRET}"}),
    ({"extra": {"X-API-Key": SECRET}}, {"x-api-key": SECRET}),
]


@pytest.mark.parametrize(("parts", "sent"), AUTHENTICATED)
def test_credentials_come_from_the_connection(source: fs.Source, parts: dict, sent: dict):
    get(source, **parts)
    assert sent.items() <= source.requests[0].headers.items()


def test_a_login_may_stand_in_the_host(source: fs.Source):
    host = source.url.replace("://", f"://ann:{SECRET}@")
    assert get(source, host=host, port=None) == expected(source)
    assert source.requests[0].headers["authorization"] == basic("ann", SECRET)


def test_nothing_is_sent_that_the_connection_does_not_say(source: fs.Source, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login ann password {SECRET}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    options = {"verify": True, "timeout": 3, "stream": True, "check_response": False, "max_redirects": 1}
    get(source, extra=options)
    assert source.requests[0].headers.keys() == {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
    }
    assert source.requests[0].headers["user-agent"].startswith("notebook-pipeline/")


@pytest.mark.parametrize("value", ["two\r\nlines", "naïve"])
def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(value: str):
    connection = Connection("api", "http", host="localhost", extra={"X-API-Key": value})
    with pytest.raises(UsageError) as caught:
        Client(connection)
    assert "'X-API-Key'" in str(caught.value)
    assert value not in str(caught.value)


@pytest.mark.parametrize("host", ["", "ftp://example.invalid", "http://", "http://[::1", "http://h:port"])
def test_a_connection_without_an_http_address_is_refused(host: str):
    with pytest.raises(UsageError, match="'api' has no HTTP address"):
        Client(Connection("api", "http", host=host))


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("parts", "sent"), AUTHENTICATED)
def test_a_redirect_on_the_same_server_keeps_credentials(
    source: fs.Source, code: int, parts: dict, sent: dict
):
    source.failures[0] = fs.redirect("/v0/players/?skip=0&limit=100&moved=1", code)
    assert get(source, **parts) == expected(source)
    assert source.requests[1].query["moved"] == "1"
    assert sent.items() <= source.requests[1].headers.items()


@pytest.mark.parametrize(("parts", "sent"), AUTHENTICATED)
def test_credentials_follow_no_redirect_to_another_host(source: fs.Source, parts: dict, sent: dict):
    with fs.serving(fs.Source(ROWS)) as other:
        # Back to the first host again: what was dropped stays dropped.
        source.failures[0] = fs.redirect(f"{other.url}/v0/players/?limit=100")
        other.failures[0] = fs.redirect(f"{source.url}/v0/players/?limit=100")
        assert get(source, **parts) == expected(source)
        assert source.requests[0].headers.items() >= sent.items()
        for request in (*other.requests, source.requests[1]):
            assert not request.headers.keys() & sent.keys()
            assert SECRET not in str(request)


def test_redirects_end(source: fs.Source):
    source.always = fs.redirect("/v0/players/?limit=100")
    assert "more than 5 redirects" in error_of(source)


def test_an_error_behind_a_redirect_says_where_and_as_whom(source: fs.Source):
    with fs.serving(fs.Source(ROWS)) as other:
        other.always = fs.status(401)
        source.always = fs.redirect(f"{other.url}/v0/players/?sig={SECRET}")
        message = error_of(source, login="ann", password=SECRET)
        assert f": redirected to {other.url}/v0/players/, without credentials: 401 " in message
        source.always = fs.redirect(f"http://[::1]:99999/x?sig={SECRET}")
        assert "an invalid address (InvalidURL)" in error_of(source)
        assert SECRET not in message + error_of(source)


def test_a_redirect_out_of_http_is_not_followed(source: fs.Source, tmp_path):
    source.always = fs.redirect(f"file://{tmp_path}/x?token={SECRET}")
    message = error_of(source)
    assert "not safe to follow" in message
    assert SECRET not in message


def test_a_redirect_to_nowhere_fails_at_once(source: fs.Source):
    source.always = fs.redirect("http://[oops")
    assert "ValueError: Invalid IPv6 URL" in error_of(source)
    assert len(source.requests) == 1


def test_redirects_can_be_forbidden(source: fs.Source):
    source.always = fs.redirect("/v0/players/")
    assert "302 (text/plain) 'moved'" in error_of(source, extra={"allow_redirects": False})


def echo(handler: fs.Handler, _: bytes) -> None:
    """Say back what was sent, as debugging pages do."""
    handler.send(str(handler.headers).encode() + SECRET.encode(), handler.server.source.total or 200)


@pytest.mark.parametrize(("parts", "sent"), AUTHENTICATED)
@pytest.mark.parametrize("code", [200, 400, 503])
def test_an_echoed_credential_is_never_shown(source: fs.Source, parts: dict, sent: dict, code: int, caplog):
    source.always, source.total = echo, code
    message = error_of(source, **parts) + caplog.text
    (secret,) = sent.values()
    for form in (secret, secret.split(" ")[-1], parts.get("password", SECRET)):
        assert form not in message


def test_a_short_password_is_not_shown_either(source: fs.Source, caplog: pytest.LogCaptureFixture):
    source.always = fs.instead(b"<html>you are ann:qz7$</html>", "text/html")
    message = error_of(source, login="ann", password="qz7$") + caplog.text
    assert "you are ***" in message
    assert "qz7$" not in message


def test_half_a_credential_is_not_shown_where_the_excerpt_is_cut(source: fs.Source):
    body = b"x" * 92 + SECRET.encode()
    source.always = lambda handler, _: handler.send(body, 400, "text/plain")
    message = error_of(source, login="ann", password=SECRET)
    assert "xxx***" in message
    assert SECRET[:4] not in message


def test_a_page_that_repeats_a_credential_is_taken(source: fs.Source):
    page = f'[{{"you sent": "{SECRET}"}}]'.encode()
    source.always = fs.instead(page)
    assert get(source, extra={"Authorization": f"Bearer {SECRET}"}) == page
