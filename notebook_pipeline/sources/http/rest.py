"""A REST API as a source: every row changed since a watermark, landed as received, or an error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.source_kind import SourceKind
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.paths import path_steps
from notebook_pipeline.errors import UsageError
from notebook_pipeline.sources.http.completeness import Selection
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.http_session import client_digest
from notebook_pipeline.sources.http.landing import Landing
from notebook_pipeline.sources.http.page_reader import Reached, Reader
from notebook_pipeline.sources.http.page_requests import PageRequests, Step
from notebook_pipeline.sources.http.retries import Patience
from notebook_pipeline.sources.source import BeginAgain, Ending
from notebook_pipeline.sources.undeclared import nested_names, note_undeclared, received_names

PAGE_SIZE = 1_000


API = SourceKind("api", is_live=True, is_read_first=True)


class RestSource:
    """The rows of an API that changed since a watermark ("" or `full_sweep`: every row).

    Each page is landed in the folder `landing` before it is parsed; if rows move, all pages are read again
    from page 0. Pages that an earlier try of the same extraction landed are not requested again. With a
    `page_size` of 0, the dataset's declaration decides.

    `follows` identifies the last run that merged, or whose rows were refused: pages landed before it are too
    old to use. In a sweep, which reports missing rows, pages of another day are also too old.
    `skipped_since`, unless it is None, is the watermark from which the run would have read by default:
    changes between that and `since` are not read, so the watermark stays.
    """

    kind = API

    def __init__(
        self,
        connection: Connection,
        dataset: Dataset,
        since: str,
        *,
        page_size: int = 0,
        full_sweep: bool = False,
        accept_older: bool = False,
        landing: Path,
        follows: str = "",
        skipped_since: str | None = None,
        patience: Patience | None = None,
        progress: Callable[[Reached], object] = lambda reached: None,
    ) -> None:
        self.name = ""
        self._connection = connection
        self._dataset = dataset
        self._selection = _selection(dataset, "" if full_sweep else since, page_size, is_sweep=full_sweep)
        self._accept_older = accept_older
        self._folder = landing
        self._follows = follows
        self._skipped_since = skipped_since
        self._patience = patience
        self._progress = progress

    def batches(self) -> Iterator[RawBatch | BeginAgain]:
        """Yield the rows of every page; raise PipelineError if not all were received."""
        with self._reader(self._folder, self._progress) as reader:
            yield from reader.batches()
        self.reader = reader

    def read_keys_again(self) -> pa.Array:
        """Return the keys of all rows in a second reading, whose pages are landed in a folder of its own."""
        with self._reader(self._folder / "second", self._progress, after=self.landing.began) as reader:
            for _ in reader.batches():
                pass
        return reader.reading.keys.array()

    def ending(self) -> Ending:
        """Return what was read, since when, and the keys of all rows."""
        keys = self.reader.reading.keys
        origin = Origin(
            API,
            moves_watermark=self._skipped_since is None,
            day=self.landing.day,
            moment=self.landing.began,
            since=self._selection.since,
            accept_older=self._accept_older,
        )
        shows_missing = self._selection.is_sweep and not keys.without_key
        return Ending(
            origin,
            list(self._notes()),
            self.reader.reading.rows,
            keys=keys.array(),
            shows_missing=shows_missing,
            read_keys_again=self.read_keys_again if shows_missing else None,
            source_count=self._count_of_everything(),
        )

    @property
    def undeclared(self) -> list[str]:
        """Return the received fields that the dataset neither declares nor ignores."""
        marker = path_steps(self._dataset.declared_api().deleted_at)[:1]
        declared = {*received_names(self._dataset, "api"), *self._dataset.ignored, *marker}
        declared |= nested_names(self._dataset, "api")
        return sorted(self.reader.fields - declared)

    @contextmanager
    def _reader(
        self, folder: Path, progress: Callable[[Reached], object], after: str = ""
    ) -> Iterator[Reader]:
        with Client(self._connection, self._patience) as client:
            requests = PageRequests(client, self._dataset.declared_api(), self._selection.page_size)
            self.name = requests.url(Step(since=self._selection.since))
            landing = Landing(folder, self._request(requests, after))
            if not after:
                self.landing = landing
            yield Reader(client, self._dataset, self._selection, landing, progress=progress)

    def _request(self, requests: PageRequests, after: str) -> dict[str, object]:
        """Return what identifies the request; landed pages are used only for the same request."""
        return {
            "url": self.name,
            "body": (requests.body(Step(since=self._selection.since)) or b"").decode(),
            "api": repr(self._dataset.declared_api()),
            "client": client_digest(self._connection),
            "full_sweep": self._selection.is_sweep,
            "day": settings.today().isoformat() if self._selection.is_sweep else "",
            "follows": self._follows,
            "after": after,
        }

    def _count_of_everything(self) -> int | None:
        """Return the source's own count of all its rows, or None if what it counts is less."""
        total = self._dataset.declared_api().total
        counts_all = total is not None and (total.of == "everything" or not self._selection.since)
        return self.landing.total if counts_all else None

    def _notes(self) -> Iterator[str]:
        reader, reading, since = self.reader, self.reader.reading, self._selection.since
        read = f"{reading.rows:,} rows in {reading.pages:,} page{'' if reading.pages == 1 else 's'}"
        yield f"{read}, changed since {since}" if since else read
        yield from note_undeclared(self._dataset, self.undeclared)
        if not reader.is_proven:
            yield "read to its end; nothing proves that this is all, because the source gives no total of it"
        yield from reader.notes
        for host in sorted(reader.other_hosts):
            yield (
                f"the server's addresses of next pages name another host, {host}; only their path and query "
                "were used, on the connection's host"
            )
        if reader.pages_landed_before:
            landed = f"{reader.pages_landed_before:,} of these pages were downloaded by an earlier try"
            yield f"{landed}, which began on {self.landing.day}"
        if self._selection.is_sweep and reading.keys.without_key:
            yield f"{reading.keys.without_key:,} rows have no valid key, so none can be reported as missing"
        if self._skipped_since is not None:
            first = self._skipped_since
            by_default = f"begin with {first}" if first else "read everything"
            yield (
                f"the watermark is unchanged, because changes before {since} were not read; a run "
                f"without `since` would {by_default}"
            )


def _selection(dataset: Dataset, since: str, page_size: int, *, is_sweep: bool) -> Selection:
    api = dataset.declared_api()
    size = page_size or api.page_size or PAGE_SIZE
    if size < 1:
        raise UsageError(f"`page_size` must be 1 or more, got {size}")
    if since and not api.since:
        raise UsageError(
            f"`since` is {since!r}, but the API of dataset {dataset.name!r} has no since and is always "
            f'read as a whole; use "", or add since=Since(...) to the Rest in datasets/{dataset.name}.py'
        )
    return Selection(since, min(size, api.window) if api.window else size, is_sweep)
