"""Open what a run reads, a bulk file or the API, as checked batches with their origin."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from pathlib import Path

import pyarrow as pa

from notebook_pipeline import settings
from notebook_pipeline.connections import resolve
from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.check_batch import Checked, check_batch, stored_schema
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.sources import replay
from notebook_pipeline.sources.files import bulk_file
from notebook_pipeline.sources.http import rest
from notebook_pipeline.sources.http.landing import remove_landed
from notebook_pipeline.sources.http.spool import Spool
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import ledger, merge

REPLAY = "rejected:"


@dataclass
class Extract:
    """Hold checked batches, read once, when asked for; `rows` is None where only reading can tell."""

    name: str
    batches: Iterable[Checked]
    origin: Origin
    rows: int | None
    preview: pa.Table
    notes: list[str]


@dataclass
class Update(Extract):
    """Hold what an API sent; `keys` are those of all its rows, `source_count` its own total of everything.

    `shows_missing` is true where everything was read and every row has a key: what is not among the keys
    is then missing at the source for sure.
    """

    keys: pa.Array
    shows_missing: bool
    source_count: int


def open_bulk(run: Session, source: str, file_conn_id: str, *, force: bool = False) -> Extract:
    """Open a bulk file, or the rejected rows of an earlier run as `rejected:RUN`.

    A file that is already loaded under the same contract gives no rows, unless `force`.
    """
    if source.startswith(REPLAY):
        return _open_replay(run, source.removeprefix(REPLAY))
    dataset = run.dataset
    connection = resolve(file_conn_id or dataset.files.conn_id)
    bulk = bulk_file.fetch_bulk(source, connection, cache=settings.output() / "fetched")
    fingerprint = f"{bulk.sha256}/{contract_fingerprint(dataset)}"
    loaded = None if force else ledger.loaded_before(run.database, dataset.name, fingerprint)
    if loaded:
        notes = [f"{bulk.name} is loaded already, by run {loaded}; force = True loads it again"]
        return _extract(bulk.name, dataset, iter(()), Origin("bulk"), 0, notes)
    unknown = bulk_file.unknown_columns(bulk, dataset)
    checked = _checked(bulk_file.read_batches(bulk, dataset), dataset)
    origin = Origin("bulk", fingerprint=fingerprint)
    return _extract(bulk.name, dataset, checked, origin, bulk.rows, _drift(dataset, unknown))


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
) -> Update:
    """Fetch what changed on the day `since` or later, by default since the watermark, onto this disk.

    A `since` later than where the run would begin by itself leaves days unread: the rows are merged all the
    same, but the watermark stays, for the next run to read those days. A retry of the same task goes on at
    the page where the last try stopped. `progress` is called with the rows read so far, the rows there will
    be, where that is known, and the pages read so far.
    """
    if keep_landed_days < 1:
        raise UsageError(f"keep_landed_days = {keep_landed_days}: give 1 or more; a retry needs the pages")
    dataset = run.dataset
    landings = settings.output() / "landed"
    landings.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_landed(landings, keep_landed_days)
    folder = landings / _task_folder(run)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    spool = Spool(folder, dataset, settings.today(), keep=ledger.KEPT_REJECTED_ROWS)
    reads_all = full_sweep or not dataset.declared_api().since
    first = "" if reads_all else first_day(run, overlap_days)
    since = "" if full_sweep else rest.as_day(since) or first
    skips_days = since > first
    extraction = rest.fetch_pages(
        resolve(api_conn_id or _declared_conn_id(dataset)),
        dataset,
        since,
        spool,
        page_size=page_size,
        full_sweep=full_sweep,
        landing=folder,
        follows=ledger.last_merge(run.database, dataset.name, or_refused_from=api_conn_id),
        progress=lambda reached: progress(reached.rows, reached.total, reached.pages),
    )
    read = f"{extraction.rows:,} rows in {extraction.pages:,} page{'' if extraction.pages == 1 else 's'}"
    notes = [f"{read}, changed since {since}" if since else read, *_drift(dataset, extraction.unknown_fields)]
    if extraction.pages_landed_before:
        landed = f"{extraction.pages_landed_before:,} of these pages were landed by an earlier try"
        notes.append(f"{landed}, which began on {extraction.day}")
    if full_sweep and extraction.rows_without_key:
        notes.append(f"{extraction.rows_without_key:,} rows have no key, so that none can be called missing")
    if skips_days:
        notes.append(_skipped(since, first))
    origin = Origin("api", moves_watermark=not skips_days, day=extraction.day)
    opened = _extract(extraction.url, dataset, spool.batches(), origin, extraction.rows, notes)
    return Update(
        **vars(opened),
        keys=extraction.keys,
        shows_missing=full_sweep and not extraction.rows_without_key,
        source_count=extraction.total,
    )


def first_day(run: Session, overlap_days: int) -> str:
    """Return the day from which to ask the API: its watermark, before its first run the bulk file's.

    The boundary is closed, for rows that change later on the same day; `overlap_days` go further back.
    """
    if overlap_days < 0:
        raise UsageError(f"overlap_days = {overlap_days}: give 0 or more days")
    name = run.dataset.name
    newest = merge.read_watermark(run.database, name, "api") or merge.read_watermark(
        run.database, name, "bulk"
    )
    try:
        return (date.fromisoformat(newest) - timedelta(days=overlap_days)).isoformat() if newest else ""
    except OverflowError:
        raise UsageError(
            f"overlap_days = {overlap_days}: so many days before {newest} there is no day; give fewer, or "
            "full_sweep = true to read everything"
        ) from None


def contract_fingerprint(dataset: Dataset) -> str:
    """Return a digest of what decides whether a row is accepted, and as what."""
    contract = (str(dataset.schema), dataset.key, dataset.cursor, sorted(dataset.ignored), dataset.rules)
    return hashlib.sha256(repr(contract).encode()).hexdigest()[:16]


def _task_folder(run: Session) -> Path:
    """Return a folder that every try of a task shares, and no other task."""
    row = ledger.get_run(run.database, run.run_id)
    task = "\0".join(str(row[name]) for name in ("dag_id", "dag_run_id", "task_id", "map_index"))
    return Path(hashlib.sha256(task.encode()).hexdigest()[:32])


def _declared_conn_id(dataset: Dataset) -> str:
    if not dataset.declared_api().conn_id:
        raise UsageError(
            f"api_conn_id is empty and dataset {dataset.name!r} declares no connection; give one of the two: "
            f"the parameter, or conn_id of the Rest in datasets/{dataset.name}.py"
        )
    return dataset.declared_api().conn_id


def _skipped(since: str, first: str) -> str:
    by_itself = f"begin with {first}" if first else "read everything"
    return (
        f"the watermark stays where it is, as what changed before {since} was not read: a run that is given "
        f"no since would {by_itself}"
    )


def _drift(dataset: Dataset, unknown: Iterable[str]) -> list[str]:
    names = ", ".join(unknown)
    return [f"{dataset.name} does not declare {names}; it was left out"] if names else []


def _open_replay(run: Session, rejected_run: str) -> Extract:
    rejected = replay.read_rejected(run.database, run.dataset, rejected_run)
    name = f"{REPLAY}{rejected_run}"
    checked = _checked(rejected.batches, run.dataset)
    return _extract(name, run.dataset, checked, rejected.origin, rejected.rows, list(rejected.notes))


def _extract(
    name: str,
    dataset: Dataset,
    checked: Iterator[Checked],
    origin: Origin,
    rows: int | None,
    notes: list[str],
) -> Extract:
    """Look at the first batch now: it is the preview, and shows a broken file at once."""
    first = next(checked, None)
    preview = pa.Table.from_batches([first.good] if first else [], stored_schema(dataset))
    return Extract(name, chain([first] if first else [], checked), origin, rows, preview, notes)


def _checked(raw: Iterable[RawBatch], dataset: Dataset) -> Iterator[Checked]:
    today = settings.today()
    kept = 0
    for batch in raw:
        checked = check_batch(batch, dataset, today, keep=max(ledger.KEPT_REJECTED_ROWS - kept, 0))
        kept += len(checked.rejected)
        yield checked
