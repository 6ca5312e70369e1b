"""What proves that a reading is complete: keys that do not repeat, and the source's own total."""

from dataclasses import dataclass, field

import pyarrow as pa

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare.api_declarations import Rest, Total
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.landing import Landing
from notebook_pipeline.sources.http.received_page import ReceivedPage
from notebook_pipeline.sources.http.seen_keys import Keys
from notebook_pipeline.sources.http.source_total import NoTotalError, fetch_total, total_in


class RowsMovedError(Exception):
    """The evidence that rows moved between pages while these were read."""


class TotalMovedError(RowsMovedError):
    """The source's total changed while the pages were read: rows may have moved, or not."""


class MiscountError(RowsMovedError):
    """A total that did not change and is not the number of rows in the pages."""


@dataclass(frozen=True)
class Selection:
    """What is read: the rows since a watermark ("": all), so many per page.

    A sweep reads everything, to find rows that the source no longer has.
    """

    since: str
    page_size: int
    is_sweep: bool = False


@dataclass
class Reading:
    """What one reading of all pages has seen so far.

    `number` is that of the next page; `pages` counts those with rows. `segment` holds the keys among which
    none may repeat, unless keys may.
    """

    dataset: Dataset
    keys: Keys = field(init=False)
    segment: Keys = field(init=False)
    number: int = 0
    pages: int = 0
    rows: int = 0
    is_first_segment: bool = True
    last_total: int | None = None

    def __post_init__(self) -> None:
        self.keys = self.segment = Keys(self.dataset)

    @property
    def different_rows(self) -> int:
        """Return the number of rows, counting each key once."""
        return len(self.keys.array()) + self.keys.without_key

    @property
    def most_rows(self) -> int:
        """Return the number of rows, counting a key that is on two pages twice; this is fast."""
        return len(self.keys) + self.keys.without_key

    def add(self, batch: RawBatch) -> pa.Array:
        """Add the rows of the next page; return their keys."""
        keys = self.keys.add(batch)
        if self.segment is not self.keys:
            self.segment.add(batch)
        self.pages += 1
        self.rows += len(batch)
        return keys

    def begin_segment(self) -> None:
        """Allow keys of the pages so far to come again."""
        self.segment = Keys(self.dataset)
        self.is_first_segment = False

    def check_repeated(self, *, now: bool) -> None:
        """Raise RowsMovedError if a key is on two pages; unless `now`, compare only now and then."""
        if repeated := self.segment.repeated(now=now):
            name = ", ".join(self.dataset.keys)
            first, second = repeated.pages
            raise RowsMovedError(f"{name} {repeated.key!r} came on page {first} and on page {second}")

    def see_total(self, declared: Total, page: ReceivedPage) -> None:
        """Take the total that came with a page; raise NoTotalError if the first page has none."""
        if page.is_end or not self.is_first_segment:
            return
        try:
            self.last_total = total_in(declared, page.headers, page.around)
        except NoTotalError:
            if not self.number:
                raise


class TotalCheck:
    """The comparison of a reading with the source's own total, as far as that counts the same rows.

    A total of everything counts the rows of a reading without a filter. It is a reason to read again only in
    a sweep; in an update it is compared with the table after the merge.
    """

    def __init__(self, client: Client, api: Rest, selection: Selection, landing: Landing) -> None:
        self._client = client
        self._api = api
        self._declared = api.total
        self._selection = selection
        self._landing = landing

    def begin(self) -> None:
        """Ask for the total before the first page, if it has an endpoint of its own."""
        if self._declared and self._declared.endpoint and self._landing.total is None:
            self._landing.keep_total(fetch_total(self._client, self._declared))

    def see(self, reading: Reading, page: ReceivedPage) -> None:
        """Take the total that came with a page; raise NoTotalError if the first page has none."""
        if self._declared is None or self._declared.endpoint:
            return
        reading.see_total(self._declared, page)
        if not reading.number and not self._landing.is_complete:
            self._landing.keep_total(reading.last_total)

    @property
    def expected(self) -> int | None:
        """Return the number of rows of this reading, or None if the source does not say it."""
        declared = self._declared
        counts_these = declared is not None and (declared.of == "answer" or not self._selection.since)
        return self._landing.total if counts_these else None

    @property
    def name(self) -> str:
        """Return where the total is declared."""
        return "" if self._declared is None else self._declared.endpoint or str(self._declared.at)

    def is_overrun(self, rows: int) -> bool:
        """Return True if more rows came than the total allows; in an update, some may come meanwhile."""
        total = self._landing.total
        if total is None or self._landing.is_complete:
            return False
        return rows > (total if self._is_exact else total + max(total // 10, 2 * self._selection.page_size))

    def check_overrun(self, reading: Reading, address: str) -> None:
        """Distinguish a source that grew from one that contradicts itself, whose pages may never end."""
        before, now = self._landing.total, self._current(reading)
        if now is None or before is None:
            return
        if now > before and not self._is_exact:
            self._landing.keep_total(now)
        elif now != before:
            raise self._moved(before, now)
        else:
            seen = f"{reading.different_rows:,} different rows, but the source counts only {now:,} in all"
            remedy = f"compare {self._api.endpoint} with {self.name}, and check that the pages end"
            raise self._client.failure(seen, remedy, address, f"pages 0 to {reading.number - 1}")

    def check_end(self, reading: Reading, *, is_exact: bool) -> list[str]:
        """Raise RowsMovedError if the total changed, or is not the number of rows; None proves nothing.

        A number that is no reason to read again is a note, unless `is_exact`.
        """
        first = self.expected
        last = None if first is None else self._current(reading)
        if first is None or last is None:
            return []
        if first != last:
            raise self._moved(first, last)
        if reading.different_rows == last:
            return []
        seen = f"received {reading.different_rows:,} rows, but the source counts {last:,}"
        if is_exact or self._is_exact:
            raise MiscountError(seen)
        return [seen]

    @property
    def _is_exact(self) -> bool:
        """Return True if a total that is not the number of rows is a reason to read again."""
        declared = self._declared
        is_compared = declared is not None and (declared.of == "answer" or self._selection.is_sweep)
        return is_compared

    def _current(self, reading: Reading) -> int | None:
        declared = self._declared
        return fetch_total(self._client, declared) if declared and declared.endpoint else reading.last_total

    def _moved(self, before: int, now: int) -> TotalMovedError:
        at = self._declared.at if self._declared else ""
        return TotalMovedError(f"the source's {at} went from {before} to {now}")
