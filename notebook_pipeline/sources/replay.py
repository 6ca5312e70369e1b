"""Read the rejected rows of an earlier run again, so that a mended contract can take them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notebook_pipeline.contract.batch import Malformed, Origin, RawBatch
from notebook_pipeline.contract.row_codec import from_json, meant
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.ledger import get_run


@dataclass(frozen=True)
class RejectedRows:
    """Hold a run's rejected rows as they were received, where they belong, and what cannot be replayed."""

    batches: Sequence[RawBatch]
    origin: Origin
    rows: int
    notes: Sequence[str]


def read_rejected(database: Database, dataset: Dataset, run_id: str) -> RejectedRows:
    """Return the rejected rows of a run, to be merged at the place of the run that extracted them first.

    Raises UsageError where there is no such run, or where it rejected no row of this dataset.
    """
    run = get_run(database, run_id)
    kept = database.execute(
        'SELECT position, "row", reasons FROM rejected_row WHERE run_id = ? AND dataset = ? ORDER BY rowid',
        [run_id, dataset.name],
    )
    if not kept:
        raise UsageError(
            f"run {run_id} rejected no row of dataset {dataset.name!r} (its dataset is {run['dataset']!r}), "
            "so there is nothing to replay; `notebook-pipeline runs` shows which runs rejected rows"
        )
    [(source, place)] = database.execute("SELECT source, place FROM extraction WHERE run_id = ?", [run_id])
    batch = _batch(kept, from_text=source == "bulk")
    origin = Origin(source, place=place, moves_watermark=False)
    return RejectedRows([batch], origin, len(kept), _notes(run, len(kept)))


def _batch(kept: Sequence[tuple[str, str, str]], *, from_text: bool) -> RawBatch:
    """Return kept rows as one batch; lines of a file that had no fields stay malformed, as they were."""
    received: list[tuple[str, object]] = []
    malformed: list[Malformed] = []
    for position, row, reasons in kept:
        value = from_json(row)
        content = _line(value) if from_text else None
        if content is None:
            received.append((position, value))
        else:
            malformed.append(Malformed(position, content, "; ".join(json.loads(reasons))))
    return RawBatch(
        [value for _, value in received],
        position=lambda index: received[index][0],
        malformed=malformed,
        from_text=from_text,
    )


def _line(value: object) -> bytes | None:
    """Return the bytes of a line that was recorded whole, None for a row that had fields."""
    match meant(value):
        case str(line):
            return line.encode()
        case bytes(line):
            return line
    return None


def _notes(run: Mapping[str, object], kept: int) -> list[str]:
    rejected = run["rows_rejected"]
    if not isinstance(rejected, int) or rejected <= kept:
        return []
    return [
        f"run {run['run_id']} rejected {rejected:,} rows, of which the first {kept:,} were kept: the other "
        f"{rejected - kept:,} cannot be replayed; load their source again (force = true) to reach them"
    ]
