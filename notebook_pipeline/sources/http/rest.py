"""Know an API's answers: every row changed since a day, landed as received, or a failure that says why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.sources.http import page_reader as paging
from notebook_pipeline.sources.http.http_client import Client, Patience
from notebook_pipeline.sources.http.http_session import asker
from notebook_pipeline.sources.http.landing import Landing
from notebook_pipeline.sources.http.page_reader import Reached, Sink

PAGE_SIZE = 5_000


@dataclass(frozen=True)
class Extraction:
    """Hold what was learned while the pages were read.

    `keys` are the distinct keys of all rows; `rows_without_key` counts rows whose key could not be told:
    while there are any, nothing may be called missing. `total` is what the source counts of everything.
    `unknown_fields` came undeclared. `readings` says how often the pages were read until none moved, and
    `day` on which day the last of these began. `pages_landed_before` of the pages were landed by an earlier
    attempt.
    """

    url: str
    day: str
    pages: int
    pages_landed_before: int
    rows: int
    keys: pa.Array = field(repr=False)
    rows_without_key: int
    total: int
    readings: int
    unknown_fields: Sequence[str]


def fetch_pages(
    connection: Connection,
    dataset: Dataset,
    since: str | date,
    sink: Sink,
    *,
    page_size: int = 0,
    full_sweep: bool = False,
    landing: Path,
    follows: str = "",
    patience: Patience | None = None,
    progress: Callable[[Reached], object] = lambda reached: None,
) -> Extraction:
    """Read every row changed on the day `since` or later ("" or `full_sweep`: every row) into `sink`.

    Each page is landed in the folder `landing` before it is parsed, and all may be read again from page 0
    when rows moved. Pages that an earlier attempt at the same extraction left there are not asked for again.
    A `page_size` of 0 means that of the dataset's declaration.
    `follows` names what came last (the run that merged, or whose rows were refused): pages that were landed
    before that are too old to use, and for a sweep, which says what is missing, those of another day are,
    too. Raises PipelineError where not everything came.
    """
    query = _query(dataset, "" if full_sweep else str(since), page_size)
    with Client(connection, patience) as client:
        url = client.address(dataset.declared_api().endpoint, query)
        request = {
            "url": url,
            "asker": asker(connection),
            "full_sweep": full_sweep,
            "day": settings.today().isoformat() if full_sweep else "",
            "follows": follows,
        }
        landed = Landing(landing, request)
        reader = paging.Reader(client, dataset, query, landed, sink, is_sweep=full_sweep, progress=progress)
        reading = reader.read()
    return Extraction(
        url=url,
        day=landed.day,
        pages=reading.pages,
        pages_landed_before=reading.pages_landed_before,
        rows=reading.rows,
        keys=reading.keys.array(),
        rows_without_key=reading.keys.without_key,
        total=landed.total or 0,
        readings=landed.reading,
        unknown_fields=sorted(reading.parser.fields - {*dataset.schema.names, *dataset.ignored}),
    )


def as_day(since: str) -> str:
    """Return the day that `since` gives as YYYY-MM-DD, "" for everything; or raise UsageError."""
    try:
        return since and date.fromisoformat(since).isoformat()
    except ValueError:
        raise UsageError(f'since = {since!r}: give a day as YYYY-MM-DD, or "" for everything') from None


def _query(dataset: Dataset, since: str, page_size: int) -> dict[str, object]:
    api = dataset.declared_api()
    size = page_size or api.page_size or PAGE_SIZE
    if size < 1:
        raise UsageError(f"page_size = {size}: a page needs at least one row")
    day = as_day(since)
    if day and not api.since:
        raise UsageError(
            f"since = {day!r}: dataset {dataset.name!r} declares no since, so its API is read as a whole; "
            f'give "", or add since=Since(...) to the Rest in datasets/{dataset.name}.py'
        )
    return {api.pages.limit: size, api.since.param: day} if api.since and day else {api.pages.limit: size}
