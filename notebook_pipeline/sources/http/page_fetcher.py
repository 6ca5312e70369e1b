"""One page after another: landed before it is parsed, and requested only if it has not landed."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.sources.http.answer_json import error_in, parse
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.landing import Landing
from notebook_pipeline.sources.http.page_parser import Parser
from notebook_pipeline.sources.http.page_requests import PageRequests, Step
from notebook_pipeline.sources.http.paging_shapes import Shape, next_of
from notebook_pipeline.sources.http.received_page import ReceivedPage
from notebook_pipeline.sources.http.request_kinds import Request
from notebook_pipeline.sources.http.responses import Answer, TryError
from notebook_pipeline.sources.http.source_total import header_name

NO_CONTENT = 204
# Said by servers of a page that lies behind the last row.
BEHIND_THE_END = (404, 416)

_FULL = 0.9
# Marks a landed page that is the end: its body alone could be that of a file that was truncated.
_END = ":end"


@dataclass(frozen=True)
class Expectation:
    """What is known before a page: its number, the rows before it, and how many the request selects.

    `rows` may be None if the page is requested before the last one was parsed; `may_be_empty` is true if the
    request may select no row at all.
    """

    number: int
    rows: int
    total: int | None
    may_be_empty: bool

    @property
    def is_verified(self) -> bool:
        """Return True if the source's total shows whether an answer that may be the end is the end."""
        return self.number > 0 and self.total is not None


class PageFetcher:
    """The pages of one reading, from the landing folder or from the server, with the next one on its way."""

    def __init__(
        self, client: Client, dataset: Dataset, requests: PageRequests, shape: Shape, landing: Landing
    ) -> None:
        self._client = client
        self._dataset = dataset
        self._api = dataset.declared_api()
        self._requests = requests
        self._shape = shape
        self._landing = landing
        self._kept = {"link", header_name(self._api.total) if self._api.total else ""}
        self._last_rows = self._last_bytes = 0
        self._ahead: tuple[Step, Future[tuple[Answer, FilePath]]] | None = None
        self.parser = Parser(dataset, rows=self._api.rows, deleted_at=self._api.deleted_at)
        self.fetched_from: int | None = None

    def page(self, step: Step, expected: Expectation) -> ReceivedPage:
        """Return a page, from the server only if it has not landed."""
        number = expected.number
        body = self._landing.read(number)
        page = None if body is None else self._parsed(body, self._landing.headers(number), number)
        if body is None or page is None:
            body, page = self._fetch(step, expected)
        self._last_rows, self._last_bytes = page.rows, len(body)
        return page

    def look_ahead(self, step: Step, expected: Expectation) -> None:
        """Start to request the next page, whose step is known, while this one is used."""
        if self.fetched_from is not None and not self._ahead:
            self._ahead = step, self._begin(step, expected)

    def request(self, step: Step, number: int) -> Request:
        """Return the request for a page."""
        return self._requests.page(step, f"page {number}")

    def _fetch(self, step: Step, expected: Expectation) -> tuple[bytes, ReceivedPage]:
        number = expected.number
        request = self.request(step, number)
        if self.fetched_from is None:
            self.fetched_from = number
            self._landing.reopen(number)
        answer, staged = self._client.wait_for(self._begun(step, expected), request)
        self._guess(answer, step, expected)
        headers = {name: value for name, value in answer.headers.items() if name in self._kept}
        if link := next_of(headers.pop("link", "")):
            headers["link"] = f'<{self._client.without_key(link)}>; rel="next"'
        if answer.status not in (200, 206) or is_blank(answer.body, has_path=bool(self._api.rows)):
            headers[_END] = str(answer.status)
        with self._writing(request):
            self._landing.keep(number, staged, headers)
        page = self._parsed(answer.body, headers, number)
        if page is None:
            self._landing.drop(number)
            raise self._no_list(answer, request)
        return answer.body, page

    def _parsed(self, body: bytes, headers: Mapping[str, str], number: int) -> ReceivedPage | None:
        is_end = _END in headers
        batch = RawBatch([], str) if is_end else self.parser.parse(body, number)
        around = None if is_end else self.parser.around
        return None if batch is None else ReceivedPage(self._dataset, batch, around, headers, is_end)

    def _no_list(self, answer: Answer, request: Request) -> Exception:
        path = self._api.rows
        wrong = error_in(answer.body) if parse(answer.body) is None else ""
        what = f"which has no list at {path!r}" if path and not wrong else "which is not a JSON list"
        remedy = "run this again to request the page again, or open the address in a browser"
        if path and not wrong:
            remedy = "compare it with `rows` of the dataset's Rest"
        return self._client.failed(request, f"{answer.excerpt()}, {what}{wrong}", remedy)

    def _begun(self, step: Step, expected: Expectation) -> Future[tuple[Answer, FilePath]]:
        ahead, self._ahead = self._ahead, None
        return ahead[1] if ahead and ahead[0] == step else self._begin(step, expected)

    def _begin(self, step: Step, expected: Expectation) -> Future[tuple[Answer, FilePath]]:
        """Start to fetch a page and write it to disk; it becomes a landed page only when it is the next."""
        statuses = {*self._end_statuses(expected), NO_CONTENT}
        request = self._requests.page(step, f"page {expected.number}", statuses)
        check = EndCheck(bool(self._api.rows), frozenset(self._end_statuses(expected)), expected)

        def receive() -> tuple[Answer, FilePath]:
            answer = self._client.ask(request, check)
            with self._writing(request):
                return answer, self._landing.stage(answer.body)

        return self._client.start(receive)

    def _end_statuses(self, expected: Expectation) -> set[int]:
        declared = {status for status in self._api.end_statuses if expected.number or status < 300}
        return declared | set(BEHIND_THE_END if expected.is_verified else ())

    @contextmanager
    def _writing(self, request: Request) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            seen = f"a page that cannot be written to {self._landing.folder}: {error.strerror or error}"
            raise self._client.failed(request, seen, "check its free space and permissions") from error

    def _guess(self, answer: Answer, step: Step, expected: Expectation) -> None:
        """Start to fetch the next page, assuming that this one has as many rows as the last.

        A wrong guess costs one unused request. If this page has fewer bytes than the last, it is probably the
        last page: nothing is fetched.
        """
        is_likely_full = self._last_rows and len(answer.body) >= _FULL * self._last_bytes
        following = self._shape.guess(step, self._last_rows) if is_likely_full else None
        if following:
            rows = expected.rows + self._last_rows
            later = Expectation(expected.number + 1, rows, expected.total, expected.may_be_empty)
            self._ahead = following, self._begin(following, later)


class EndCheck:
    """The check of an answer that may be the end of the rows, called for each try.

    A blank answer (no content, null, {} or []) is the end if the source's total says so, or if the server
    gives it twice; on the first page, only if the request may select no row. If there is a total, it is
    compared with the rows when the end has come like this.
    """

    def __init__(self, has_path: bool, end_statuses: frozenset[int], expected: Expectation) -> None:
        self._has_path = has_path
        self._end_statuses = end_statuses
        self._expected = expected
        self._blank = 0

    def __call__(self, answer: Answer) -> None:
        """Raise TryError if the answer is neither a page nor the end."""
        if answer.status in self._end_statuses:
            return
        shape = "object" if self._has_path else "list"
        if not is_blank(answer.body, has_path=self._has_path):
            answer.check_shape(shape)
        elif not self._is_end():
            seen = f"{answer.excerpt()}, expected a JSON {shape}"
            remedy = "compare the answer with the declaration, or run this again"
            raise TryError(seen, remedy, is_passing=True)

    def _is_end(self) -> bool:
        expected = self._expected
        if expected.total is not None and expected.rows >= expected.total:
            return True
        self._blank += 1
        return self._blank > 1 and (expected.number > 0 or (expected.may_be_empty and not expected.total))


def is_blank(body: bytes, *, has_path: bool) -> bool:
    """Return True if a body is empty, null or {}, or [] instead of an object that holds the rows."""
    text = body.strip(b"\xef\xbb\xbf \t\r\n") if len(body) < 100 else body
    return text in (b"", b"null", b"{}") or (has_path and text == b"[]")
