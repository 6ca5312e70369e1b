"""Remove old executed notebooks that nothing names any more; the ledger stays."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.datasets import DATASETS
from notebook_pipeline.locks import is_held
from notebook_pipeline.storage.database import Database, connect, quoted
from notebook_pipeline.storage.tables import create_tables

# Of each notebook, the newest runs first; the newest success counts whatever its age.
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


def prune(*, keep_days: int, keep_last: int) -> list[Path]:
    """Remove each artefact that is older than `keep_days` and not among its notebook's last `keep_last`.

    The newest success of a notebook stays, and so does every artefact whose run a row still names in its
    `_run_id`. Return the files that were removed.
    """
    with connect(resolve(DATABASE)) as database:
        create_tables(database)
        before = (datetime.now(UTC) - timedelta(days=keep_days)).isoformat(timespec="microseconds")
        named = _named_runs(database)
        old = database.execute(_CANDIDATES, [before, keep_last])
    paths = [settings.output() / artifact for run_id, artifact in old if run_id not in named]
    removed = [path for path in paths if _remove(path)]
    _sweep(settings.output() / "runs")
    return removed


def _sweep(runs: Path) -> None:
    """Remove the locks of processes that were killed just before their row was written or after it closed."""
    for lock in [path for path in runs.rglob("*.lock") if not is_held(path)]:
        for temporary in lock.parent.glob(f".{lock.stem}.*.tmp"):
            temporary.unlink(missing_ok=True)
        _remove(lock)


def _named_runs(database: Database) -> set[str]:
    """Return every run that a row of a dataset names."""
    return {
        run_id
        for dataset in DATASETS
        for (run_id,) in database.execute(f"SELECT DISTINCT _run_id FROM {quoted(dataset)}")
    }


def _remove(path: Path) -> bool:
    """Remove a file below the output folder, and the folders that it leaves empty."""
    runs = settings.output() / "runs"
    if not path.is_file() or runs.resolve() not in path.resolve().parents:
        return False
    path.unlink()
    for folder in path.parents:
        if folder == runs or any(folder.iterdir()):
            break
        folder.rmdir()
    return True
