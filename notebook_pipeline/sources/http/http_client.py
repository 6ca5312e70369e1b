"""Know HTTP: get one JSON answer from a connection's server, with patience that ends."""

import logging
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from typing import TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.util import Retry

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.secrets.redaction import Redactor
from notebook_pipeline.sources.http.http_session import base_address, open_session, open_stranger
from notebook_pipeline.sources.http.responses import (
    ASK_CONNECTION,
    ASK_SMALLER,
    Answer,
    Fault,
    Shape,
    delay,
    place,
    reason,
    refusal,
)

MAX_REDIRECTS = 5

_CHUNK = 1 << 22
_T = TypeVar("_T")
_Target = tuple[requests.Session, str]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """Say how long to wait for a server, in seconds, and how much to take from it.

    `silence` is the longest wait for the next byte, `answer` for a whole answer, `budget` for all that one
    client asks, pauses between tries included. `max_bytes` bounds one decoded body.
    """

    connect: float = 10
    silence: float = 60
    answer: float = 300
    budget: float = 2700
    tries: int = 6
    backoff: float = 0.5
    backoff_max: float = 30
    jitter: float = 1.0
    retry_after_max: int = 120
    max_bytes: int = 256 * 2**20


class Client:
    """Ask one server, as its connection says; every failure is a PipelineError without a credential."""

    def __init__(
        self,
        connection: Connection,
        patience: Patience | None = None,
        *,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.base = base_address(connection)
        self._patience = patience or Patience()
        self._connection = connection
        self._session = open_session(connection)
        self._stranger = open_stranger(connection)
        self._redactor = Redactor([connection])
        self._deadline = time.monotonic() + self._patience.budget
        self._closed = threading.Event()
        self._pause = self._closed.wait if pause is None else pause

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._session.close()
        self._stranger.close()

    def address(self, path: str, query: Mapping[str, object] | None = None) -> str:
        """Return the URL of a path below the connection's base URL."""
        url = f"{self.base}/{path.lstrip('/')}"
        return f"{url}?{urlencode(query)}" if query else url

    def get(self, url: str, *, what: str, shape: Shape = "any") -> Answer:
        """Return the answer of status 200; one with a `shape` begins and ends with that JSON's brackets.

        `what` names the answer in errors and warnings, for instance "page 3".
        """
        retries = self._retries()
        while True:
            try:
                return self._attempt(url, shape)
            except Fault as fault:
                retries = self._next_try(retries, fault, url, what)

    def get_in_time(self, url: str, *, what: str, shape: Shape = "any") -> Answer:
        """Return what `get` returns, or raise PipelineError when the budget is gone, also amid a header."""
        return self.wait(self.start(partial(self.get, url, what=what, shape=shape)), url, what=what)

    @staticmethod
    def start(ask: Callable[[], _T]) -> Future[_T]:
        """Begin to ask in a thread of its own, which never keeps the process from ending."""
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(ask())
            except BaseException as error:
                future.set_exception(error)

        # Unlike Thread.start this does not wait until the thread runs, which costs a switch a page.
        start_new_thread(run, ())
        return future

    def wait(self, future: Future[_T], url: str, *, what: str) -> _T:
        """Return what `start` began, or raise PipelineError when the budget is gone."""
        try:
            # The thread itself gives up at the deadline, unless it hangs in a header that never ends.
            return future.result(timeout=max(self._left(), 0) + 1)
        except TimeoutError:
            if future.done():  # a disk may time out, too
                raise
            raise self._spent("no complete answer", url, what) from None

    def failure(self, seen: str, remedy: str, url: str, what: str) -> PipelineError:
        """Return the error that says what was asked where, what came and what to do, without a secret."""
        conn_id = self._connection.conn_id
        return PipelineError(
            self._redactor.text(f"{what}: GET {url} (connection {conn_id!r}): {seen}; {remedy}")
        )

    def _spent(self, seen: str, url: str, what: str) -> PipelineError:
        seen = f"{seen}, and the {self._patience.budget:g} s for all requests are over"
        return self.failure(seen, "run it again; an update goes on where it stopped", url, what)

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _retries(self) -> Retry:
        patience = self._patience
        return Retry(
            total=patience.tries - 1,
            backoff_factor=patience.backoff,
            backoff_max=patience.backoff_max,
            backoff_jitter=patience.jitter,
            retry_after_max=patience.retry_after_max,
        )

    def _next_try(self, retries: Retry, fault: Fault, url: str, what: str) -> Retry:
        """Wait as the server or the back-off says and return the tries left, or raise PipelineError."""
        if not fault.is_passing:
            raise self.failure(fault.seen, fault.remedy, url, what) from None
        try:
            retries = retries.increment("GET", url, error=fault)
        except MaxRetryError:
            tries = self._patience.tries
            seen = f"{fault.seen}, and nothing better in {tries} tries" if tries > 1 else fault.seen
            raise self.failure(seen, fault.remedy, url, what) from None
        seconds = delay(retries, fault)
        if seconds >= self._left():
            raise self._spent(fault.seen, url, what) from None
        warning = f"{what}: GET {url}: {fault.seen}; trying again in {seconds:.1f} s"
        _log.warning("%s", self._redactor.text(warning))
        self._pause(seconds)
        return retries

    def _attempt(self, url: str, shape: Shape) -> Answer:
        """Follow redirects; credentials stay behind for good when one leaves the connection's own server."""
        session, asked = self._session, url
        until = min(time.monotonic() + self._patience.answer, self._deadline)
        for _ in range(MAX_REDIRECTS + 1):
            try:
                found = self._ask(session, asked, until)
            except Fault as fault:
                raise fault if asked == url else fault.after(asked, session is self._stranger) from None
            if isinstance(found, Answer):
                self._check(found, shape)
                return found
            session, asked = found
        seen = f"more than {MAX_REDIRECTS} redirects, the last to {place(asked)}"
        raise Fault(seen, ASK_CONNECTION, is_passing=False)

    def _ask(self, session: requests.Session, url: str, until: float) -> Answer | _Target:
        """Return the answer of status 200, or else whom to ask where."""
        try:
            with self._open(session, url) as response:
                target = session.get_redirect_target(response)
                if target and self._connection.extra.get("allow_redirects", True):
                    return self._redirected(session, url, urljoin(url, target))
                return self._read(response, until)
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            # A ValueError is an address or a header that no server can be asked with.
            is_passing = not (isinstance(error, ValueError) or self._closed.is_set())
            raise Fault(reason(error), ASK_CONNECTION, is_passing=is_passing) from None

    def _redirected(self, session: requests.Session, url: str, target: str) -> _Target:
        old, new = urlsplit(url), urlsplit(target)
        if new.scheme not in ("http", "https") or (old.scheme, new.scheme) == ("https", "http"):
            seen = f"a redirect to {place(target)}, which is not safe to follow"
            raise Fault(seen, ASK_CONNECTION, is_passing=False)
        return (self._stranger if session.should_strip_auth(url, target) else session), target

    def _open(self, session: requests.Session, url: str) -> requests.Response:
        if self._closed.is_set():
            raise Fault("nobody waits for the answer any more", ASK_CONNECTION, is_passing=False)
        left = max(self._left(), 0.01)
        timeout = (min(self._patience.connect, left), min(self._patience.silence, left))
        request = session.prepare_request(requests.Request("GET", url))
        settings = session.merge_environment_settings(url, {}, True, None, None)
        # Not session.get: it would read the body of a redirect, however long that is.
        return session.get_adapter(url).send(request, timeout=timeout, **settings)

    def _read(self, response: requests.Response, until: float) -> Answer:
        if response.status_code != 200:
            raise refusal(response, self._redactor.text)
        pieces: list[bytes] = []
        size = 0
        # One read of the socket at a time, so that a body that trickles meets the clock.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            pieces.append(chunk)
            size += len(chunk)
            if size > self._patience.max_bytes:
                seen = f"200 with a body of more than {self._patience.max_bytes:,} bytes"
                raise Fault(seen, ASK_SMALLER, is_passing=False)
            if time.monotonic() > until:
                seen = f"200 with only {size:,} bytes in {self._patience.answer:g} s"
                raise Fault(seen, ASK_SMALLER, is_passing=True)
        return Answer(b"".join(pieces), response.headers.get("content-type", ""))

    def _check(self, answer: Answer, shape: Shape) -> None:
        if self._redactor.is_in(answer.body):
            seen = "200 with a body that repeats a credential of the connection, which was not kept"
            raise Fault(seen, "ask the server's owner", is_passing=False)
        answer.check_shape(shape)
