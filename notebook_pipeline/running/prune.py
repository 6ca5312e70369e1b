"""Removal of old artefacts that nothing refers to any more; the ledger is kept."""

import time
from contextlib import suppress
from pathlib import Path

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.outputs.folder import Folder
from notebook_pipeline.outputs.output_store import Output, is_artefact, open_output
from notebook_pipeline.running.artefacts import settle_lost
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.run_locks import RunLock
from notebook_pipeline.storage.tables import create_tables, dataset_tables

# Each notebook's runs are numbered from the newest; its newest success is never a candidate.
_CANDIDATES = """
    SELECT run_id, artifact FROM (
        SELECT run_id, artifact, status, finished_at,
            row_number() OVER (PARTITION BY notebook ORDER BY run_id DESC) AS age,
            row_number() OVER (
                PARTITION BY notebook, status ORDER BY finished_at DESC, run_id DESC) AS age_by_status
        FROM pipeline_run WHERE artifact IS NOT NULL) made
    WHERE status <> 'running' AND finished_at < ? AND age > ?
        AND NOT (status = 'success' AND age_by_status = 1)
    ORDER BY run_id"""

_YOUNG_SECONDS = 3600


def prune(*, keep_days: int, keep_last: int) -> list[str]:
    """Remove each artefact that is older than `keep_days` and not among its notebook's last `keep_last`.

    The newest success of each notebook is kept, and so are artefacts that `trace` refers to: those of runs
    that a row names in its `_run_id`, or that deleted a row. Return the addresses of removed artefacts.
    """
    output = open_output()
    with connect(resolve(DATABASE)) as database:
        create_tables(database)
        # Lost runs are marked first, while their locks still identify them.
        settle_lost(database, output)
        named = _named_runs(database)
        old = database.execute(_CANDIDATES, [ledger.days_ago(keep_days), keep_last])
    there = output.stamps("runs")
    unused = [key for run_id, key in old if run_id not in named and key in there and is_artefact(key)]
    removed = [output.address(key) for key in unused if output.contains(key) and _is_removed(output, key)]
    _sweep(settings.output())
    return removed


def _is_removed(output: Output, key: str) -> bool:
    """Remove a key and return True, or False if another process was first."""
    try:
        output.remove(key)
    except FileNotFoundError:
        return False
    return True


def _sweep(output: Path) -> None:
    """Remove the locks of processes that were killed just before their row was written or after its end.

    Locks and their folders are on this machine, wherever the artefacts are; empty folders are removed, too.
    """
    runs, here = output / "runs", Folder(output)
    for path in list(runs.rglob("*.lock")):
        # A lock that is held belongs to a running run; while it is held here, no run can start with it.
        with suppress(PipelineError):
            lock = RunLock(path)
            try:
                here.sweep(path.relative_to(output).as_posix().removesuffix(".lock"))
            finally:
                lock.release()
        with suppress(OSError):  # it is missing, or not empty
            path.parent.rmdir()
    for folder in sorted((path for path in runs.rglob("*") if path.is_dir()), reverse=True):
        # It may not be empty, and a lock may be about to be created in a new one.
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _YOUNG_SECONDS:
                folder.rmdir()


def _named_runs(database: Database) -> set[str]:
    """Return the ids of all runs that a row or a tombstone names.

    The tables are those in the database, because a declaration may be broken or missing here.
    """
    of_rows = (f"SELECT DISTINCT _run_id FROM {quoted(table)}" for table in dataset_tables(database))
    queries = (*of_rows, "SELECT DISTINCT run_id FROM deleted_row")
    return {run_id for query in queries for (run_id,) in database.execute(query)}
