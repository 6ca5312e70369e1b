"""The rejected rows of an earlier run as a source, so that a corrected contract can accept them."""

import json
from collections.abc import Iterator, Mapping, Sequence

from notebook_pipeline.contract.batch import Malformed, Origin, RawBatch
from notebook_pipeline.contract.kept_rows import decoded, from_json
from notebook_pipeline.contract.source_kind import SourceKind
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError
from notebook_pipeline.number_texts import counted
from notebook_pipeline.sources.files.file_source import BULK
from notebook_pipeline.sources.http.rest import API
from notebook_pipeline.sources.source import Ending
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.ledger import get_run

PREFIX = "rejected:"
# Only the name of a kind is stored; any kind not listed here is live and has JSON values.
_KINDS = {kind.name: kind for kind in (BULK, API)}


class ReplaySource:
    """The rejected rows of a run, merged at the place of the run that first extracted them.

    Raises UsageError if there is no such run, or if it rejected no row of this dataset.
    """

    def __init__(self, database: Database, dataset: Dataset, run_id: str) -> None:
        self.name = f"{PREFIX}{run_id}"
        self._run = get_run(database, run_id)
        self._kept = database.execute(
            'SELECT position, "row", reasons FROM rejected_row WHERE run_id = ? AND dataset = ? '
            "ORDER BY rowid",
            [run_id, dataset.name],
        )
        if not self._kept:
            raise UsageError(
                f"run {run_id} rejected no row of dataset {dataset.name!r} (its dataset is "
                f"{self._run['dataset']!r}); `notebook-pipeline runs` lists the runs that rejected rows"
            )
        [(source, self._place)] = database.execute(
            "SELECT source, place FROM extraction WHERE run_id = ?", [run_id]
        )
        self.kind = _KINDS.get(source) or SourceKind(source, is_live=True)

    def batches(self) -> Iterator[RawBatch]:
        """Yield all stored rows as one batch."""
        yield _batch(self._kept, self.kind)

    def ending(self) -> Ending:
        """Return the place of the rows, with a note if some of them cannot be replayed."""
        origin = Origin(self.kind, place=self._place, is_replay=True, moves_watermark=False)
        return Ending(origin, _notes(self._run, len(self._kept)), len(self._kept))


def _batch(kept: Sequence[tuple[str, str, str]], kind: SourceKind) -> RawBatch:
    """Return stored rows as one batch; lines that could not be split into fields stay malformed."""
    received: list[tuple[str, object]] = []
    malformed: list[Malformed] = []
    for position, row, reasons in kept:
        value = from_json(row)
        content = _line(value) if kind.is_text else None
        if content is None:
            received.append((position, value))
        else:
            malformed.append(Malformed(position, content, "; ".join(json.loads(reasons))))
    return RawBatch(
        [value for _, value in received],
        position=lambda index: received[index][0],
        malformed=malformed,
        from_text=kind.is_text,
        family=kind.family,
    )


def _line(value: object) -> bytes | None:
    """Return the bytes of a line that was stored whole, or None for a row with fields."""
    match decoded(value):
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
        f"run {run['run_id']} rejected {counted(rejected, 'row')}, but only the first {kept:,} were stored; "
        f"to load the other {rejected - kept:,}, load their source again (force = true)"
    ]
