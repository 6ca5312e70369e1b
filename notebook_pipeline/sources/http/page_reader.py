"""The reader of pages whose rows may move between pages: it reads them again until none has moved."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.sources.http.completeness import (
    Reading,
    RowsMovedError,
    Selection,
    TotalCheck,
)
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.landing import Landing
from notebook_pipeline.sources.http.page_fetcher import Expectation, PageFetcher
from notebook_pipeline.sources.http.page_requests import PageRequests, Step
from notebook_pipeline.sources.http.paging_shapes import ContradictionError, Shape, shape_of
from notebook_pipeline.sources.http.reading_attempts import Attempts
from notebook_pipeline.sources.http.received_page import ReceivedPage
from notebook_pipeline.sources.http.responses import RequestError
from notebook_pipeline.sources.http.source_total import NoTotalError
from notebook_pipeline.sources.source import BeginAgain

_OF_CREDENTIALS_OR_TIME = (401, 403, 407, 408, 425, 429)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reached:
    """The progress of a reading; `total` is the expected number of rows, if known."""

    pages: int
    rows: int
    total: int | None


class _TokenRefused(Exception):
    """The server refused the token or the address of a page, which it gave itself."""


class Reader:
    """A reader of a dataset's pages into a landing folder, each page once unless rows move.

    One page is fetched and written to disk while the one before is used, as far as its address is known. If
    as many rows disappear as appear during one reading, this is not detected; a row skipped because of it is
    found by the next full sweep.
    """

    def __init__(
        self,
        client: Client,
        dataset: Dataset,
        selection: Selection,
        landing: Landing,
        *,
        progress: Callable[[Reached], object] = lambda reached: None,
    ) -> None:
        self._client = client
        self._dataset = dataset
        self._api = dataset.declared_api()
        self._selection = selection
        self._landing = landing
        self._progress = progress
        self._total = TotalCheck(client, self._api, selection, landing)
        self._requests = PageRequests(client, self._api, selection.page_size)
        self._has_refused_token = False
        address = self._requests.url(shape_of(self._api, selection.page_size).first(selection.since))
        self._attempts = Attempts(client, self._api, selection, landing, address)
        self.reading = Reading(dataset)
        self._prepare()

    @property
    def other_hosts(self) -> set[str]:
        """Return the hosts in addresses of next pages other than the connection's."""
        return self._requests.other_hosts

    @property
    def fields(self) -> set[str]:
        """Return the names of all fields in any row."""
        return self._fetcher.parser.fields

    @property
    def pages_landed_before(self) -> int:
        """Return the number of pages with rows that were not requested by this run."""
        first = self._fetcher.fetched_from
        return self.reading.pages if first is None else min(first, self.reading.pages)

    @property
    def is_proven(self) -> bool:
        """Return True if a total of the source, or an offset that did not shift, shows that all rows came."""
        return self._total.expected is not None or (self._api.total is not None and self._shape.shifts)

    def batches(self) -> Iterator[RawBatch | BeginAgain]:
        """Yield the rows of every page; afterwards `reading` describes the reading in which no row moved.

        Raises PipelineError if rows moved during every reading, or if the server contradicts itself.
        """
        while True:
            try:
                yield from self._read_once()
                return
            except RowsMovedError as moved:
                if note := self._attempts.accept(moved):
                    self.notes.append(note)
                    return
                self._attempts.begin_again(moved)
            except _TokenRefused as refused:
                _log.warning("%s; reading again from page 0", refused)
                self._landing.begin(self._landing.reading)
            yield BeginAgain()

    def _prepare(self) -> None:
        self.notes: list[str] = []
        self._shape: Shape = shape_of(self._api, self._selection.page_size)
        self.reading = Reading(self._dataset)
        self._fetcher = PageFetcher(self._client, self._dataset, self._requests, self._shape, self._landing)

    def _read_once(self) -> Iterator[RawBatch]:
        self._prepare()
        self._total.begin()
        reading = self.reading
        step: Step | None = self._shape.first(self._selection.since)
        used = {(repr(step.values), step.link, step.since)}
        has_blank_end = False
        while step:
            page = self._page(step)
            has_blank_end = page.is_end
            following = self._following(step, page, used)
            if page.rows:
                yield page.batch
            reading.number += 1
            self._check_keys(at_end=False)
            if page.rows:
                self._progress(Reached(reading.pages, reading.rows, self._total.expected))
            if following and following.since != step.since:
                reading.begin_segment()
            step = following
        self._check_keys(at_end=True)
        if not self._landing.is_complete:
            self.notes += self._total.check_end(reading, is_exact=has_blank_end)
            self._landing.complete()

    def _page(self, step: Step) -> ReceivedPage:
        """Return the next page, with its rows and its total accounted for."""
        reading = self.reading
        request = self._fetcher.request(step, reading.number)
        try:
            page = self._fetcher.page(step, self._expectation())
            self._total.see(reading, page)
        except NoTotalError as error:
            self._landing.drop(reading.number)
            seen = f"an answer that {error}"
            raise self._client.failed(request, seen, "compare it with `at` of the dataset's Total") from None
        except RequestError as error:
            if reading.number and self._is_refused_token(error):
                self._has_refused_token = True
                raise _TokenRefused(str(error)) from None
            raise
        if self._is_last_page_again(page):
            return replace(page, batch=RawBatch([], str), is_end=True)
        if page.rows:
            reading.add(page.batch)
        return page

    def _is_last_page_again(self, page: ReceivedPage) -> bool:
        """Return True if a server gives its last rows again instead of an end, and its total says so."""
        if not self._shape.shifts or not page.rows or self._total.expected is None:
            return False
        reading = self.reading
        return reading.most_rows >= self._total.expected and reading.keys.has_all(page.batch)

    def _following(self, step: Step, page: ReceivedPage, used: set[tuple[str, str, str]]) -> Step | None:
        """Return the step to the next page, requested already if only the answer says which it is."""
        request = self._fetcher.request(step, self.reading.number)
        try:
            following = None if page.is_end else self._shape.after(step, page)
        except ContradictionError as error:
            raise self._client.failed(request, str(error), "compare it with `pages` of the Rest") from None
        if following is None:
            return None
        mark = repr(following.values), following.link, following.since
        if mark in used:
            what = f"the address {following.link!r}" if following.link else f"{dict(following.values)}"
            seen = f"{what} for the next page, which was that of an earlier page"
            raise self._client.failed(request, seen, "compare it with `pages` of the dataset's Rest")
        used.add(mark)
        if not self._shape.shifts:
            self._fetcher.look_ahead(following, self._expectation(self.reading.number + 1))
        return following

    def _expectation(self, number: int | None = None) -> Expectation:
        reading = self.reading
        number = reading.number if number is None else number
        return Expectation(number, reading.most_rows, self._total.expected, bool(self._selection.since))

    def _is_refused_token(self, error: RequestError) -> bool:
        is_refused = 400 <= error.status < 500 and error.status not in _OF_CREDENTIALS_OR_TIME
        return is_refused and not self._shape.shifts and not self._has_refused_token

    def _check_keys(self, *, at_end: bool) -> None:
        reading = self.reading
        is_overrun = self._total.is_overrun(reading.most_rows)
        if self._shape.shifts:
            reading.check_repeated(now=at_end or is_overrun)
        if is_overrun and self._total.is_overrun(reading.different_rows):
            self._total.check_overrun(reading, self._first_address())

    def _first_address(self) -> str:
        return self._requests.url(self._shape.first(self._selection.since))
