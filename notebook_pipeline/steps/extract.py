"""The source of a run, a bulk file or the API, opened as checked batches with their origin."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import cast

import pyarrow as pa

from notebook_pipeline import settings
from notebook_pipeline.connections import resolve
from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.check_batch import Checked, check_batch, stored_schema
from notebook_pipeline.contract.child_rows import with_children
from notebook_pipeline.contract.source_kind import BULK_MARK
from notebook_pipeline.declare.child_datasets import Nested
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.run_identity import place_of_reading
from notebook_pipeline.sources import replay
from notebook_pipeline.sources.files.bulk_file import fetch_bulk
from notebook_pipeline.sources.files.file_source import FileSource
from notebook_pipeline.sources.http import rest
from notebook_pipeline.sources.http.landing import remove_landed
from notebook_pipeline.sources.source import BeginAgain, Ending, Source
from notebook_pipeline.steps.landing_folder import landing_folder, landings
from notebook_pipeline.steps.reading_start import as_watermark, go_back, is_later
from notebook_pipeline.steps.session import Session
from notebook_pipeline.steps.spool import Spool
from notebook_pipeline.storage import deletions, ledger
from notebook_pipeline.storage.key_order import key_columns
from notebook_pipeline.storage.merge import read_watermark

Items = Iterable[RawBatch | BeginAgain]


@dataclass
class Extract:
    """Checked batches, to be read once; `rows` is None if their number is not known before reading.

    `shows_missing` is true if a stored row whose key is not among `keys` is missing at the source; with
    `read_keys_again`, it is missing only if its key is also not among those that this function reads.
    `source_count` is the source's own count of all its rows, or None if it has none.
    """

    name: str
    batches: Iterable[Checked]
    origin: Origin
    rows: int | None
    preview: pa.Table
    notes: list[str]
    keys: pa.Array
    shows_missing: bool
    source_count: int | None


def open_bulk(run: Session, source: str, file_conn_id: str, *, force: bool = False) -> Extract:
    """Open a bulk file, or the rejected rows of an earlier run as `rejected:RUN`.

    A file that is already loaded under the same contract yields no rows, unless `force`.
    """
    if source.startswith(replay.PREFIX):
        rejected_run = source.removeprefix(replay.PREFIX)
        return open_source(run, replay.ReplaySource(run.database, run.dataset, rejected_run))
    connection = resolve(file_conn_id or run.dataset.files.conn_id)
    bulk = fetch_bulk(source, connection, settings.output() / "fetched", run.dataset)
    return open_source(run, FileSource(bulk, run.dataset, run.database, force=force))


def open_api(
    run: Session,
    api_conn_id: str,
    since: str = "",
    *,
    overlap: str = "",
    page_size: int = 0,
    full_sweep: bool = False,
    delete_missing: bool = False,
    accept_older: bool = False,
    keep_landed_days: int = 7,
    progress: Callable[[int, int | None, int], object] = lambda rows, total, pages: None,
) -> Extract:
    """Fetch the rows that changed at `since` or later, by default since the watermark, to disk.

    If `since` is later than the default, changes stay unread: the rows are merged, but the watermark stays,
    so that the next run reads them. A retry of the same task, or the same run started by hand again,
    continues at the page where the last one stopped. `delete_missing` and `accept_older` need a full sweep.
    `progress` is called with the rows read so far, the expected number of rows, if known, and the pages read
    so far.
    """
    for name, is_set in (("delete_missing", delete_missing), ("accept_older", accept_older)):
        if is_set and not full_sweep:
            raise UsageError(
                f"`{name}` is true, but `full_sweep` is false: only a run that reads everything can tell "
                "which rows are concerned; set full_sweep = true"
            )
    if keep_landed_days < 1:
        raise UsageError(
            f"`keep_landed_days` must be 1 or more, got {keep_landed_days}: a retry needs the pages"
        )
    remove_landed(landings(), keep_landed_days)
    dataset = run.dataset
    first = first_watermark(run, overlap)
    given = _given_since(dataset, since)
    start = "" if full_sweep else given or first
    source = rest.RestSource(
        resolve(api_conn_id or _declared_conn_id(dataset)),
        dataset,
        start,
        page_size=page_size,
        full_sweep=full_sweep,
        accept_older=accept_older,
        landing=landing_folder(run),
        follows=ledger.last_merge(run.database, run.dataset.name, or_refused_from=api_conn_id),
        skipped_since=first if start and is_later(start, first, _cursor_type(dataset)) else None,
        progress=lambda reached: progress(reached.rows, reached.total, reached.pages),
    )
    return open_source(run, source)


def open_source(run: Session, source: Source) -> Extract:
    """Open any source: read it to its end first if its kind requires that, else while it is merged."""
    dataset = run.dataset
    place, highest = place_of_reading(run.run_id) if source.kind.is_live else "", None
    if source.kind.is_read_first:
        spool = Spool(
            landings(), dataset, settings.today(), keep=ledger.KEPT_REJECTED_ROWS, nested=run.children
        )
        _fill(spool, source.batches())
        ending, batches = source.ending(), spool.batches()
        highest = spool.highest
    else:
        # Only a kind that is read first may begin again.
        batches = _checked(cast("Iterator[RawBatch]", source.batches()), dataset, run.children)
        ending = source.ending()
    if not ending.origin.is_replay:
        ending = replace(ending, origin=replace(ending.origin, place=place, highest=highest))
    if ending.read_keys_again and ending.shows_missing and _lacks_stored(run, ending.keys):
        # Rows may have moved between pages while they were read: only what two readings lack is missing.
        keys = pa.concat_arrays([ending.keys, ending.read_keys_again()])
        ending = replace(ending, keys=keys)
    return _extract(run, source.name, batches, ending)


def _lacks_stored(run: Session, keys: pa.Array) -> bool:
    return deletions.lacks_stored(run.database, run.dataset, key_columns(run.dataset, keys))


def first_watermark(run: Session, overlap: str) -> str:
    """Return where an update begins: the API's watermark, or the bulk file's before the first API run.

    The watermark itself is included, for rows that change later with the same cursor; `overlap` goes further
    back. Everything is read ("") without a watermark, and if the API has no filter.
    """
    dataset = run.dataset
    if dataset.cursor is None or run.missing_columns:
        return ""
    own = read_watermark(run.database, dataset.name, rest.API.name)
    newest = own or read_watermark(run.database, dataset.name, BULK_MARK) or ""
    found = go_back(newest, overlap, _cursor_type(dataset))
    return found if dataset.declared_api().since else ""


def _given_since(dataset: Dataset, since: str) -> str:
    if since and dataset.cursor is None:
        raise UsageError(
            f"`since` is {since!r}, but dataset {dataset.name!r} has no cursor and is always read whole; "
            'use ""'
        )
    return as_watermark(since, _cursor_type(dataset)) if since else ""


def _cursor_type(dataset: Dataset) -> pa.DataType:
    return dataset.schema.field(dataset.cursor).type if dataset.cursor else pa.null()


def _declared_conn_id(dataset: Dataset) -> str:
    if not dataset.declared_api().conn_id:
        raise UsageError(
            f"api_conn_id is empty and dataset {dataset.name!r} has no default connection; set "
            f"the parameter, or conn_id of the Rest in datasets/{dataset.name}.py"
        )
    return dataset.declared_api().conn_id


def _fill(spool: Spool, items: Items) -> None:
    """Check and store each batch while the next one is read."""
    with ThreadPoolExecutor(1) as worker:
        taking: Future[None] | None = None
        for item in items:
            if taking:
                taking.result()
            taking = worker.submit(_take, spool, item)
        if taking:
            taking.result()


def _take(spool: Spool, item: RawBatch | BeginAgain) -> None:
    if isinstance(item, BeginAgain):
        spool.begin()
    else:
        spool.add(item)


def _extract(run: Session, name: str, checked: Iterator[Checked], ending: Ending) -> Extract:
    """Read the first batch now: it is the preview, and reveals a broken file at once."""
    first = next(checked, None)
    preview = pa.Table.from_batches([first.good] if first else [], stored_schema(run.dataset))
    return Extract(
        name,
        chain([first] if first else [], checked),
        ending.origin,
        ending.rows,
        preview,
        [*_of_columns(run, ending.origin), *ending.notes],
        ending.keys,
        ending.shows_missing,
        ending.source_count,
    )


def _of_columns(run: Session, origin: Origin) -> Iterator[str]:
    """Yield what becomes of columns that are declared but not stored yet."""
    if run.missing_columns:
        reader = "this run" if origin.kind.is_live and origin.moves_watermark else "the next update"
        yield (
            f"table {run.dataset.name} lacks the declared columns {', '.join(run.missing_columns)}: this run "
            f"adds them. Stored rows have no value there yet, so {reader} reads everything"
        )


def _checked(raw: Iterable[RawBatch], dataset: Dataset, nested: Sequence[Nested]) -> Iterator[Checked]:
    today = settings.today()
    keep = ledger.KEPT_REJECTED_ROWS
    kept = 0
    for batch in raw:
        checked = check_batch(batch, dataset, today, keep=max(keep - kept, 0))
        kept += len(checked.rejected)
        yield with_children(checked, nested, today, keep=keep)
