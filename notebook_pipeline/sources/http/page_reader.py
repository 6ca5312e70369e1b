"""The reader of pages whose rows may move between pages: it reads them again until none has moved."""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.landing import Landing
from notebook_pipeline.sources.http.page_parser import Parser, json_error
from notebook_pipeline.sources.http.responses import Answer
from notebook_pipeline.sources.http.seen_keys import Keys
from notebook_pipeline.sources.http.source_count import declared_total, fetch_total
from notebook_pipeline.sources.source import BeginAgain

MAX_READINGS = 3

_FULL = 0.9
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reached:
    """The progress of a reading; `total` is the expected number of rows, if known."""

    pages: int
    rows: int
    total: int | None


@dataclass
class Reading:
    """What one reading of all pages has seen so far."""

    keys: Keys
    parser: Parser
    pages: int = 0
    rows: int = 0
    fetched_from: int | None = None

    @property
    def pages_landed_before(self) -> int:
        """Return the number of pages with rows that were not requested by this run."""
        return self.pages if self.fetched_from is None else self.fetched_from

    @property
    def different_rows(self) -> int:
        """Return the number of rows, counting each key once."""
        return len(self.keys) + self.keys.without_key

    def add(self, batch: RawBatch, key: str) -> None:
        """Add the rows of the next page."""
        if batch.columns:
            self.keys.add(batch.columns.column(key))
        else:
            self.keys.add([row.get(key) if isinstance(row, dict) else None for row in batch.received])
        self.pages += 1
        self.rows += len(batch)


class _ShiftSeen(Exception):
    """The evidence that rows moved between pages while these were read."""


class Reader:
    """A reader of a dataset's pages into a landing folder, each page once unless rows move.

    The server may send pages in any order, and fewer rows than the query's `limit`: only an empty page is the
    end. One page is fetched and written to disk while another landed page is parsed. If as many rows
    disappear as appear during one reading, this is not detected; a row skipped because of it is found by the
    next full sweep.
    """

    def __init__(
        self,
        client: Client,
        dataset: Dataset,
        query: Mapping[str, object],
        landing: Landing,
        *,
        is_sweep: bool,
        progress: Callable[[Reached], object],
    ) -> None:
        self._client = client
        self._dataset = dataset
        self._api = dataset.declared_api()
        self._query = query
        self._landing = landing
        self._is_sweep = is_sweep
        self._progress = progress
        self._last_rows = self._last_bytes = 0
        self._ahead: tuple[str, Future[tuple[Answer, Path]]] | None = None
        self.reading = self._new_reading()

    def batches(self) -> Iterator[RawBatch | BeginAgain]:
        """Yield the rows of every page; afterwards `reading` describes the reading in which no row moved.

        Raises PipelineError if rows moved during every reading, or if the server contradicts itself.
        """
        while True:
            try:
                yield from self._read_once()
                return
            except _ShiftSeen as shift:
                self._begin_again(shift)
            yield BeginAgain()

    def _begin_again(self, shift: _ShiftSeen) -> None:
        reading = self._landing.reading
        self._landing.begin(reading % MAX_READINGS + 1)
        if reading == MAX_READINGS:
            seen = f"rows moved between the pages in each of {MAX_READINGS} readings, finally {shift}"
            remedy = (
                f"check that the source honours {self._api.pages.offset}; if it does, run this at a quieter "
                "time or with a larger page_size"
            )
            raise self._client.failure(seen, remedy, self._address(0), "pages from 0 on") from None
        _log.warning("%s: reading again from page 0 (%d of %d)", shift, reading + 1, MAX_READINGS)

    def _new_reading(self) -> Reading:
        key_type = self._dataset.schema.field(self._dataset.key).type
        return Reading(Keys(key_type), Parser(self._dataset))

    def _read_once(self) -> Iterator[RawBatch]:
        self._last_rows = self._last_bytes = 0
        self._ahead = None
        if self._landing.total is None:
            self._landing.keep_total(fetch_total(self._client, self._dataset))
        self.reading = reading = self._new_reading()
        while batch := self._page(reading):
            yield batch
            reading.add(batch, self._dataset.key)
            self._check_keys(reading, at_end=False)
            self._progress(Reached(reading.pages, reading.rows, self._expected()))
        self._check_keys(reading, at_end=True)
        if not self._landing.is_complete:
            self._check_total(reading)
            self._landing.complete()

    def _page(self, reading: Reading) -> RawBatch:
        """Return the next page's rows, from the server only if the page has not landed."""
        body = self._landing.read(reading.pages)
        batch = None if body is None else reading.parser.parse(body, reading.pages)
        if body is None or batch is None:
            body, batch = self._fetch(reading)
        self._last_rows, self._last_bytes = len(batch), len(body)
        return batch

    def _fetch(self, reading: Reading) -> tuple[bytes, RawBatch]:
        number = reading.pages
        url, what = self._address(reading.rows), f"page {number}"
        if reading.fetched_from is None:
            reading.fetched_from = number
            self._landing.reopen(number)
        answer, staged = self._client.wait(self._begun(url, what), url, what=what)
        self._look_ahead(answer, number, reading.rows)
        with self._writing(url, what):
            self._landing.keep(number, staged)
        batch = reading.parser.parse(answer.body, number)
        if batch is None:
            self._landing.drop(number)
            remedy = "run this again to request the page again, or open the address in a browser"
            seen = f"{answer.excerpt()}, which is not a JSON list{json_error(answer.body)}"
            raise self._client.failure(seen, remedy, url, what)
        return answer.body, batch

    def _begun(self, url: str, what: str) -> Future[tuple[Answer, Path]]:
        ahead, self._ahead = self._ahead, None
        return ahead[1] if ahead and ahead[0] == url else self._begin(url, what)

    def _begin(self, url: str, what: str) -> Future[tuple[Answer, Path]]:
        """Start to fetch a page and write it to disk; it becomes a landed page only when it is the next."""

        def receive() -> tuple[Answer, Path]:
            answer = self._client.get(url, what=what, shape="list")
            with self._writing(url, what):
                return answer, self._landing.stage(answer.body)

        return self._client.start(receive)

    @contextmanager
    def _writing(self, url: str, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            seen = f"a page that cannot be written to {self._landing.folder}: {error.strerror or error}"
            raise self._client.failure(seen, "check its free space and permissions", url, what) from error

    def _look_ahead(self, answer: Answer, number: int, skip: int) -> None:
        """Start to fetch the next page, assuming that this one has as many rows as the last.

        A wrong guess costs one unused request. If this page has fewer bytes than the last, it is probably the
        last page: nothing is fetched.
        """
        is_likely_full = self._last_rows and len(answer.body) >= _FULL * self._last_bytes
        if is_likely_full:
            url, what = self._address(skip + self._last_rows), f"page {number + 1}"
            self._ahead = url, self._begin(url, what)

    def _check_keys(self, reading: Reading, *, at_end: bool) -> None:
        total = self._landing.total or 0
        is_overrun = reading.different_rows > total and not self._landing.is_complete
        repeated = reading.keys.repeated(now=at_end or is_overrun)
        if repeated:
            first, second = repeated.pages
            raise _ShiftSeen(
                f"{self._dataset.key} {repeated.key!r} came on page {first} and on page {second}"
            )
        if is_overrun:
            self._check_overrun(reading, total)

    def _check_overrun(self, reading: Reading, total: int) -> None:
        """Distinguish a source that grew from one that contradicts itself, whose pages may never end."""
        self._check_total(reading)
        seen = f"{reading.different_rows:,} different rows, but the source counts only {total:,} in all"
        pages, counts = self._api.endpoint, declared_total(self._dataset).endpoint
        remedy = f"compare {pages} with {counts}, and check that the pages end"
        url = self._address(reading.rows)
        raise self._client.failure(seen, remedy, url, f"pages 0 to {reading.pages - 1}")

    def _check_total(self, reading: Reading) -> None:
        total = fetch_total(self._client, self._dataset)
        if total != self._landing.total:
            raise _ShiftSeen(
                f"the source's {declared_total(self._dataset).at} went from {self._landing.total} to {total}"
            )
        if self._is_sweep and reading.different_rows < total:
            raise _ShiftSeen(f"received {reading.different_rows:,} rows, but the source counts {total:,}")

    def _expected(self) -> int | None:
        since = self._api.since
        return None if since and since.param in self._query else self._landing.total

    def _address(self, skip: int) -> str:
        return self._client.address(self._api.endpoint, {self._api.pages.offset: skip, **self._query})
