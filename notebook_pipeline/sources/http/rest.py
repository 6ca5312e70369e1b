"""A REST API as a source: every row changed since a day, landed as received, or an error with the reason."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.source_kind import SourceKind
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.number_texts import counted
from notebook_pipeline.sources.http.http_client import Client, Patience
from notebook_pipeline.sources.http.http_session import client_digest
from notebook_pipeline.sources.http.landing import Landing
from notebook_pipeline.sources.http.page_reader import Reached, Reader
from notebook_pipeline.sources.source import BeginAgain, Ending
from notebook_pipeline.sources.undeclared import note_undeclared, received_names

PAGE_SIZE = 5_000


API = SourceKind("api", is_live=True, is_read_first=True)


class RestSource:
    """The rows of an API that changed on the day `since` or later ("" or `full_sweep`: every row).

    Each page is landed in the folder `landing` before it is parsed; if rows move, all pages are read again
    from page 0. Pages that an earlier try of the same extraction landed are not requested again. With a
    `page_size` of 0, the dataset's declaration decides.

    `follows` identifies the last run that merged, or whose rows were refused: pages landed before it are too
    old to use. In a sweep, which reports missing rows, pages of another day are also too old.
    `skipped_since`, unless it is None, is the day from which the run would have read by default: changes
    between that day and `since` are not read, so the watermark stays.
    """

    kind = API

    def __init__(
        self,
        connection: Connection,
        dataset: Dataset,
        since: str | date,
        *,
        page_size: int = 0,
        full_sweep: bool = False,
        landing: Path,
        follows: str = "",
        skipped_since: str | None = None,
        patience: Patience | None = None,
        progress: Callable[[Reached], object] = lambda reached: None,
    ) -> None:
        self.name = ""
        self._connection = connection
        self._dataset = dataset
        self._since = "" if full_sweep else str(since)
        self._query = _query(dataset, self._since, page_size)
        self._full_sweep = full_sweep
        self._folder = landing
        self._follows = follows
        self._skipped_since = skipped_since
        self._patience = patience
        self._progress = progress

    def batches(self) -> Iterator[RawBatch | BeginAgain]:
        """Yield the rows of every page; raise PipelineError if not all were received."""
        with Client(self._connection, self._patience) as client:
            self.name = client.address(self._dataset.declared_api().endpoint, self._query)
            self.landing = Landing(self._folder, self._request())
            reader = Reader(
                client,
                self._dataset,
                self._query,
                self.landing,
                is_sweep=self._full_sweep,
                progress=self._progress,
            )
            yield from reader.batches()
            self.reading = reader.reading

    def ending(self) -> Ending:
        """Return what was read, from which day on, and the keys of all rows."""
        keys = self.reading.keys
        origin = Origin(API, moves_watermark=self._skipped_since is None, day=self.landing.day)
        return Ending(
            origin,
            list(self._notes()),
            self.reading.rows,
            keys=keys.array(),
            shows_missing=self._full_sweep and not keys.without_key,
            source_count=self.landing.total or 0,
        )

    @property
    def undeclared(self) -> list[str]:
        """Return the received fields that the dataset neither declares nor ignores."""
        declared = {*received_names(self._dataset, "api"), *self._dataset.ignored}
        return sorted(self.reading.parser.fields - declared)

    def _request(self) -> dict[str, object]:
        """Return what identifies the request; landed pages are used only for the same request."""
        return {
            "url": self.name,
            "client": client_digest(self._connection),
            "full_sweep": self._full_sweep,
            "day": settings.today().isoformat() if self._full_sweep else "",
            "follows": self._follows,
        }

    def _notes(self) -> Iterator[str]:
        reading = self.reading
        read = f"{counted(reading.rows, 'row')} in {counted(reading.pages, 'page')}"
        yield f"{read}, changed since {self._since}" if self._since else read
        yield from note_undeclared(self._dataset, self.undeclared)
        if reading.pages_landed_before:
            landed = f"{reading.pages_landed_before:,} of these pages were downloaded by an earlier try"
            yield f"{landed}, which began on {self.landing.day}"
        if self._full_sweep and reading.keys.without_key:
            without = counted(reading.keys.without_key, "row")
            yield f"{without} without a valid key, so none can be reported as missing"
        if self._skipped_since is not None:
            first = self._skipped_since
            by_default = f"begin with {first}" if first else "read everything"
            yield (
                f"the watermark is unchanged, because changes before {self._since} were not read; a run "
                f"without `since` would {by_default}"
            )


def as_day(since: str) -> str:
    """Return `since` as YYYY-MM-DD, or "" for everything; raise UsageError if it is not a day."""
    try:
        return since and date.fromisoformat(since).isoformat()
    except ValueError:
        raise UsageError(f'`since` must be a day (YYYY-MM-DD), or "" for everything, got {since!r}') from None


def _query(dataset: Dataset, since: str, page_size: int) -> dict[str, object]:
    api = dataset.declared_api()
    size = page_size or api.page_size or PAGE_SIZE
    if size < 1:
        raise UsageError(f"`page_size` must be 1 or more, got {size}")
    day = as_day(since)
    if day and not api.since:
        raise UsageError(
            f"`since` is {day!r}, but the API of dataset {dataset.name!r} has no since and is always "
            f'read as a whole; use "", or add since=Since(...) to the Rest in datasets/{dataset.name}.py'
        )
    return {api.pages.limit: size, api.since.param: day} if api.since and day else {api.pages.limit: size}
