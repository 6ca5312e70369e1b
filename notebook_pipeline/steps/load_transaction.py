"""The one transaction of a run: its rows, deletions, watermark and counts are committed together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.steps.filter_check import filter_problem
from notebook_pipeline.steps.load import Load
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import extraction_order, ledger, loaded_files
from notebook_pipeline.storage.child_counts import save_child
from notebook_pipeline.storage.cursors import cursor_text
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.merge import read_watermark, save_watermark
from notebook_pipeline.storage.tables import add_missing_columns, missing_columns, read_everything


@contextmanager
def transaction(session: Session, origin: Origin, limits: Limits) -> Iterator[Load]:
    """Open the one transaction of a run; rows are committed together with the counts at its end.

    Rejected rows are saved even if they are the reason for refusing the load.
    """
    database, dataset, added = session.database, session.dataset, session.missing_columns
    load = None
    try:
        with database.transaction():
            # Loads of some kinds may run side by side if the database supports that; others run alone.
            is_shared = origin.kind.side_by_side and not origin.is_replay and not added
            written = [dataset, *(nested.dataset for nested in session.children)]
            # Always in the same order: two runs must not wait for each other.
            for one in sorted(written, key=lambda one: one.name):
                database.lock(one.name, shared=is_shared and len(written) == 1)
            if added:
                _add_columns(database, written)
            place = extraction_order.take_place(database, dataset.name, session.run_id, origin)
            extraction_order.save_extraction(database, session.run_id, dataset.name, origin, place)
            load = Load(session, dataset, origin, limits, place)
            yield load
            load.verify()
            _commit(load)
        origin.acknowledge()
    except DataRefused:
        if load:
            with database.transaction():
                extraction_order.save_extraction(database, session.run_id, dataset.name, origin, load.place)
                _save_rejected(load)
                ledger.refuse_run(database, session.run_id, load.rows_read, load.rows_rejected)
        raise


def _add_columns(database: Database, datasets: Sequence[Dataset]) -> None:
    """Add the missing columns of a dataset and of its children, which the dataset's source fills."""
    added = [dataset for dataset in datasets if missing_columns(database, dataset)]
    for dataset in added:
        add_missing_columns(database, dataset)
    if added:
        read_everything(database, datasets[0].name)


def _commit(load: Load) -> None:
    database, run_id = load.session.database, load.session.run_id
    name, origin = load.dataset.name, load.origin
    before = read_watermark(database, name, origin.source)
    # After a column was added, no live run may start where a file ends: it has to read everything.
    is_whole = origin.kind.is_live or not load.session.missing_columns
    if load.newest_until_then is not None and origin.moves_watermark and is_whole:
        newest = cursor_text(load.newest_until_then)
        save_watermark(database, load.dataset, origin.source, newest, run_id=run_id, now=ledger.now())
    after = read_watermark(database, name, origin.source)
    if origin.fingerprint:
        loaded_files.save_loaded_file(database, name, origin.fingerprint, run_id)
    _save_repeated(load)
    _save_filter_problem(load)
    _save_rejected(load)
    for child, rows in load.children.items():
        save_child(database, run_id, child, rows.counts())
    ledger.commit_run(database, run_id, load.counts(), watermark_before=before, watermark_after=after)


def _save_repeated(load: Load) -> None:
    """Save a finding if one bulk source contains a key several times, equally new and with other values."""
    count = load.noted["repeated"]
    if not count:
        return
    finding = {
        "check_name": "repeated_key",
        "severity": "warn",
        "passed": False,
        "measured": count,
        "expected": 0,
        "sample": [list(key) for key in load.examples["repeated"]],
    }
    ledger.save_results(load.session.database, load.session.run_id, load.dataset.name, [finding])


def _save_filter_problem(load: Load) -> None:
    """Save a finding if the rows do not fit the filter with which they were requested."""
    if not load.origin.since:
        return
    database = load.session.database
    load.filter_problem = filter_problem(database, load.dataset, load.origin.since, load.oldest)
    if load.filter_problem:
        finding = {
            "check_name": "filter_of_source",
            "severity": "warn",
            "passed": False,
            "measured": load.filter_problem,
            "expected": f"rows changed since {load.origin.since}, those of this cursor included",
        }
        ledger.save_results(database, load.session.run_id, load.dataset.name, [finding])


def _save_rejected(load: Load) -> None:
    database, run_id = load.session.database, load.session.run_id
    rejected = {load.dataset.name: load.rejected}
    rejected |= {name: child.rejected for name, child in load.children.items()}
    for name, rows in rejected.items():
        ledger.save_rejected(database, run_id, name, [(row.position, row.row, row.reasons) for row in rows])
