"""The source of a run, a bulk file or the API, opened as checked batches with their origin."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import cast

import pyarrow as pa

from notebook_pipeline import settings
from notebook_pipeline.connections import resolve
from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.check_batch import Checked, check_batch, stored_schema
from notebook_pipeline.contract.source_kind import BULK_MARK
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.run_identity import place_of_reading
from notebook_pipeline.sources import replay
from notebook_pipeline.sources.files.bulk_file import fetch_bulk
from notebook_pipeline.sources.files.file_source import FileSource
from notebook_pipeline.sources.http import rest
from notebook_pipeline.sources.http.landing import remove_landed
from notebook_pipeline.sources.source import BeginAgain, Ending, Source
from notebook_pipeline.steps.session import Session
from notebook_pipeline.steps.spool import Spool
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.merge import read_watermark

Items = Iterable[RawBatch | BeginAgain]


@dataclass
class Extract:
    """Checked batches, to be read once; `rows` is None if their number is not known before reading.

    `shows_missing` is true if a stored row whose key is not among `keys` is certainly missing at the source.
    `source_count` is the source's own count of all its rows, or None if it has none.
    """

    name: str
    batches: Iterable[Checked]
    origin: Origin
    rows: int | None
    preview: pa.Table
    notes: list[str]
    keys: pa.RecordBatch
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
    overlap_days: int = 0,
    page_size: int = 0,
    full_sweep: bool = False,
    keep_landed_days: int = 7,
    progress: Callable[[int, int | None, int], object] = lambda rows, total, pages: None,
) -> Extract:
    """Fetch the rows that changed on the day `since` or later, by default since the watermark, to disk.

    If `since` is later than the default, days stay unread: the rows are merged, but the watermark stays, so
    that the next run reads those days. A retry of the same task continues at the page where the last try
    stopped. `progress` is called with the rows read so far, the expected number of rows, if known, and the
    pages read so far.
    """
    if keep_landed_days < 1:
        raise UsageError(
            f"`keep_landed_days` must be 1 or more, got {keep_landed_days}: a retry needs the pages"
        )
    remove_landed(_landings(), keep_landed_days)
    folder = _landings() / _task_folder(run)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    dataset = run.dataset
    reads_all = full_sweep or not dataset.declared_api().since
    first = "" if reads_all else first_day(run, overlap_days)
    since = "" if full_sweep else rest.as_day(since) or first
    source = rest.RestSource(
        resolve(api_conn_id or _declared_conn_id(dataset)),
        dataset,
        since,
        page_size=page_size,
        full_sweep=full_sweep,
        landing=folder,
        follows=ledger.last_merge(run.database, run.dataset.name, or_refused_from=api_conn_id),
        skipped_since=first if since > first else None,
        progress=lambda reached: progress(reached.rows, reached.total, reached.pages),
    )
    return open_source(run, source)


def open_source(run: Session, source: Source) -> Extract:
    """Open any source: read it to its end first if its kind requires that, else while it is merged."""
    dataset = run.dataset
    began = {"began": settings.now(), "place": place_of_reading(run.run_id)} if source.kind.is_live else {}
    if source.kind.is_read_first:
        spool = Spool(_landings(), dataset, settings.today(), keep=ledger.KEPT_REJECTED_ROWS)
        _fill(spool, source.batches())
        ending, batches = source.ending(), spool.batches()
        began["highest"] = spool.highest
    else:
        # Only a kind that is read first may begin again.
        batches = _checked(cast("Iterator[RawBatch]", source.batches()), dataset)
        ending = source.ending()
    if not ending.origin.is_replay:
        ending = replace(ending, origin=replace(ending.origin, **began))
    return _extract(run, source.name, batches, ending)


def first_day(run: Session, overlap_days: int) -> str:
    """Return the first day to request: the API's watermark, or the bulk file's before the first API run.

    The day itself is included, for rows that change later on it; `overlap_days` go further back.
    """
    if overlap_days < 0:
        raise UsageError(f"`overlap_days` must be 0 or more, got {overlap_days}")
    if run.missing_columns:
        return ""
    name = run.dataset.name
    own = read_watermark(run.database, name, rest.API.name)
    newest = own or read_watermark(run.database, name, BULK_MARK)
    try:
        return (date.fromisoformat(newest) - timedelta(days=overlap_days)).isoformat() if newest else ""
    except OverflowError:
        raise UsageError(
            f"`overlap_days` is {overlap_days}, but the calendar has no day so long before {newest}; use "
            "fewer, or full_sweep = true to read everything"
        ) from None


def _landings() -> Path:
    folder = settings.output() / "landed"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _task_folder(run: Session) -> Path:
    """Return the name of a folder that all tries of a task share, and no other task."""
    row = ledger.get_run(run.database, run.run_id)
    task = "\0".join(str(row[name]) for name in ("dag_id", "dag_run_id", "task_id", "map_index"))
    return Path(hashlib.sha256(task.encode()).hexdigest()[:32])


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
        key_columns(ending.keys, run.dataset),
        ending.shows_missing,
        ending.source_count,
    )


def key_columns(keys: pa.Array, dataset: Dataset) -> pa.RecordBatch:
    """Return the keys that a source has read as the columns of the key."""
    if pa.types.is_struct(keys.type):
        return pa.RecordBatch.from_struct_array(keys)
    return pa.RecordBatch.from_arrays([keys] * len(dataset.keys), names=list(dataset.keys))


def _of_columns(run: Session, origin: Origin) -> Iterator[str]:
    """Yield what becomes of columns that are declared but not stored yet."""
    if run.missing_columns:
        reader = "this run" if origin.kind.is_live and origin.moves_watermark else "the next update"
        yield (
            f"table {run.dataset.name} lacks the declared columns {', '.join(run.missing_columns)}: this run "
            f"adds them. Stored rows have no value there yet, so {reader} reads everything"
        )


def _checked(raw: Iterable[RawBatch], dataset: Dataset) -> Iterator[Checked]:
    today = settings.today()
    kept = 0
    for batch in raw:
        checked = check_batch(batch, dataset, today, keep=max(ledger.KEPT_REJECTED_ROWS - kept, 0))
        kept += len(checked.rejected)
        yield checked
