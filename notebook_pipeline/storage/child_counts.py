"""The counts that the ledger keeps of a run's child datasets, one row each in `run_child`."""

from collections.abc import Mapping

from notebook_pipeline.storage.database import Database


def save_child(database: Database, run_id: str, dataset: str, counts: Mapping[str, int]) -> None:
    """Write what a run did to a child dataset, inside the caller's transaction; a second merge is added."""
    names, marks = ", ".join(counts), ", ".join("?" * (len(counts) + 2))
    added = ", ".join(f"{name} = run_child.{name} + excluded.{name}" for name in counts)
    database.execute(
        f"""INSERT INTO run_child (run_id, dataset, {names}) VALUES ({marks})
        ON CONFLICT (run_id, dataset) DO UPDATE SET {added}""",
        [run_id, dataset, *counts.values()],
    )
