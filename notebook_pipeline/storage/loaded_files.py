"""The files that were loaded, by their content and the contract under which they were read."""

from notebook_pipeline.storage.database import Database


def loaded_before(database: Database, dataset: str, fingerprint: str) -> str | None:
    """Return the id of the last run that merged a file with this fingerprint, or None if there is none.

    The fingerprint covers the file's content and the contract under which it is read.
    """
    rows = database.execute(
        "SELECT run_id FROM loaded_file WHERE dataset = ? AND fingerprint = ?", [dataset, fingerprint]
    )
    return rows[0][0] if rows else None


def last_loading_run(database: Database, dataset: str) -> str | None:
    """Return the run that was the last to load a file into a dataset, or None."""
    return database.execute("SELECT max(run_id) FROM loaded_file WHERE dataset = ?", [dataset])[0][0]


def save_loaded_file(database: Database, dataset: str, fingerprint: str, run_id: str) -> None:
    """Record, inside the caller's transaction, that a file was merged."""
    database.execute(
        "INSERT INTO loaded_file VALUES (?, ?, ?) ON CONFLICT (dataset, fingerprint) "
        "DO UPDATE SET run_id = excluded.run_id",
        [dataset, fingerprint, run_id],
    )
