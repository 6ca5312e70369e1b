"""The HTTP client: get pages and stream files from a connection's server, with one policy for both."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode

import requests

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import UsageError
from notebook_pipeline.number_texts import in_seconds
from notebook_pipeline.secrets.everyday_words import everyday_words
from notebook_pipeline.secrets.redaction import Redactor
from notebook_pipeline.sources.http import connection_settings, responses
from notebook_pipeline.sources.http.addresses import base_address, is_same_server
from notebook_pipeline.sources.http.http_session import Sessions
from notebook_pipeline.sources.http.receiving import Receiving
from notebook_pipeline.sources.http.redirects import MAX_REDIRECTS, redirect_target, too_many
from notebook_pipeline.sources.http.request_kinds import Request, file_request, page_request
from notebook_pipeline.sources.http.responses import Answer, RequestError, Shape, TryError
from notebook_pipeline.sources.http.retries import Patience, page_patience

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Client:
    """A client of one connection; every failure is a PipelineError without credentials.

    The connection's credentials are sent only to its own scheme, host and port. A file may be on another
    server, and any response may redirect to one: nothing from the connection is sent there, or to any server
    after it.
    """

    def __init__(
        self,
        connection: Connection,
        patience: Patience | None = None,
        *,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        is_http = connection.conn_type in ("http", "https")
        self.base = base_address(connection) if is_http else ""
        self._patience = patience or page_patience(connection)
        self._connection = connection
        self._follows = connection_settings.flag(connection, "allow_redirects")
        self._sessions = Sessions(connection)
        self._words = everyday_words()
        self._redactor = Redactor([connection], self._words)
        self._deadline = time.monotonic() + self._patience.budget
        self._closed = threading.Event()
        self._receiving = Receiving(self._patience, self._closed)
        self._pause = self._closed.wait if pause is None else pause

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._sessions.close()

    def address(self, path: str, query: Mapping[str, object] | None = None) -> str:
        """Return the URL of a path below the connection's base URL."""
        if not self.base:
            raise UsageError(
                f"connection {self._connection.conn_id!r} is of type {self._connection.conn_type!r}; an API "
                "needs a connection of type http"
            )
        url = f"{self.base}/{path.lstrip('/')}"
        return f"{url}?{urlencode(query)}" if query else url

    def get(self, url: str, *, what: str, shape: Shape = "any") -> Answer:
        """Return the answer; with a `shape`, it must begin and end with that JSON's brackets.

        `what` names the answer in errors and warnings, such as "page 3".
        """
        return self.ask(page_request(url, what), lambda answer: answer.check_shape(shape))

    def ask(self, request: Request, check: Callable[[Answer], object]) -> Answer:
        """Return the answer to a request; `check` raises TryError if the answer is not as it should be."""

        def receive(pieces: Iterator[bytes], response: requests.Response) -> Answer:
            headers = {name.lower(): value for name, value in response.headers.items()}
            body, content_type = b"".join(pieces), headers.get("content-type", "")
            answer = Answer(body, content_type, response.status_code, headers)
            check(answer)
            return answer

        return self._try(request, receive)

    def without_key(self, url: str) -> str:
        """Return an address that a server sent without the key that requests to it are signed with."""
        return self._sessions.unsigned_url(url)

    def get_in_time(self, url: str, *, what: str, shape: Shape = "any") -> Answer:
        """Return the result of `get`, or raise PipelineError when time is up, even within a header."""
        return self.wait(self.start(partial(self.get, url, what=what, shape=shape)), url, what=what)

    def stream(
        self,
        url: str,
        take: Callable[[Iterator[bytes]], _T],
        *,
        what: str,
        decode: bool = True,
        headers: Callable[[Mapping[str, str]], object] = lambda headers: None,
    ) -> _T:
        """Return the result of `take`, which is called with the pieces of the body, again on each retry.

        `decode` decodes the content encoding. `headers` is called with the headers of each answer before its
        body is read. The query of the URL is not shown.
        """
        request = file_request(url, what, decode=decode)

        def receive(pieces: Iterator[bytes], response: requests.Response) -> _T:
            headers(response.headers)
            return take(pieces)

        return self.wait_for(self.start(lambda: self._try(request, receive)), request)

    @staticmethod
    def start(ask: Callable[[], _T]) -> Future[_T]:
        """Call a function in a separate thread, which never keeps the process from exiting."""
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(ask())
            except BaseException as error:
                future.set_exception(error)

        # Not a ThreadPoolExecutor: at exit, Python would wait for its threads, and one may hang in a header.
        threading.Thread(target=run, daemon=True).start()
        return future

    def wait(self, future: Future[_T], url: str, *, what: str) -> _T:
        """Return the result of what `start` started, or raise PipelineError when time is up."""
        return self.wait_for(future, page_request(url, what))

    def failure(
        self, seen: str, remedy: str, url: str, what: str, *, method: str = "GET", status: int = 0
    ) -> RequestError:
        """Return an error with the request, what was received and what to do, without secrets."""
        message = f"{what}: {method} {url} (connection {self._connection.conn_id!r}): {seen}; {remedy}"
        return RequestError(self._redactor.text(message), status)

    def failed(self, request: Request, seen: str, remedy: str, status: int = 0) -> RequestError:
        """Return an error of this request, as `failure` does."""
        shown = request.shown, request.what
        return self.failure(seen, remedy, *shown, method=request.method, status=status)

    def wait_for(self, future: Future[_T], request: Request) -> _T:
        """Return the result of what `start` started, or raise PipelineError when time is up."""
        try:
            # The thread itself stops at the deadline, unless it hangs in a header that never ends.
            return future.result(timeout=max(self._left(), 0) + 1)
        except TimeoutError:
            if future.done():  # raised by the thread, such as by a disk
                raise
            raise self._spent("no complete answer", request) from None

    def _spent(self, seen: str, request: Request) -> RequestError:
        seen = f"{seen}, and the time limit of {self._patience.budget:g} s for all requests was reached"
        return self.failed(request, seen, request.kind.when_late)

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _try(self, request: Request, take: Callable[[Iterator[bytes], requests.Response], _T]) -> _T:
        tries = 1
        while True:
            try:
                return self._attempt(request, take)
            except TryError as error:
                self._wait_for_retry(tries, error, request)
                tries += 1

    def _wait_for_retry(self, tries: int, error: TryError, request: Request) -> None:
        """Wait as the server or the back-off requires, or raise PipelineError if no retry is left."""
        seen = error.seen
        is_last = tries >= self._patience.tries
        if is_last and error.is_passing and tries > 1:
            seen = f"{seen}, even after {tries} tries"
        if is_last or not error.is_passing:
            raise self.failed(request, seen, error.remedy, error.status) from None
        seconds = self._patience.pause(tries, error.asked_pause, self._left())
        if seconds >= self._left():
            raise self._spent(seen, request) from None
        warning = (
            f"{request.what}: {request.method} {request.shown}: {seen}; retrying in {in_seconds(seconds)} s"
        )
        _log.warning("%s", self._redactor.text(warning))
        self._pause(seconds)

    def _attempt(self, request: Request, take: Callable[[Iterator[bytes], requests.Response], _T]) -> _T:
        """Send a request, follow redirects; once one leaves the connection's server, send no credentials."""
        until = min(time.monotonic() + self._patience.answer, self._deadline)
        url, is_home = request.url, True
        for _ in range(MAX_REDIRECTS + 1):
            try:
                is_home = is_home and is_same_server(url, self.base)
                with self._send(request, url, is_home=is_home) as response:
                    target = self._target(response, url)
                    if not target:
                        if response.status_code not in request.statuses:
                            raise responses.refusal(response, request.kind.remedies, self._redactor.text)
                        return take(self._receiving.pieces(response, request, until), response)
            except TryError as error:
                found = error if is_home else error.of_other_server()
                raise (
                    found if url == request.url else found.of_target(url, is_other_server=not is_home)
                ) from None
            url = target
        raise too_many(url)

    def _send(self, request: Request, url: str, *, is_home: bool) -> requests.Response:
        self._receiving.check_open()
        left = max(self._left(), 0.01)
        timeout = (min(self._patience.connect, left), min(self._patience.silence, left))
        with self._receiving.network_errors():
            response = self._sessions.send(request, url, timeout, is_home=is_home)
        if tokens := self._sessions.tokens():
            self._redactor = Redactor([self._connection, *tokens], self._words)
        return response

    def _target(self, response: requests.Response, url: str) -> str | None:
        with self._receiving.network_errors():
            return redirect_target(response, url) if self._follows else None
