"""Say what reading hands on: received rows in batches, each row with its position, nothing judged yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import pyarrow as pa

from notebook_pipeline.contract.source_kind import SourceKind


def nothing() -> None:
    """Do nothing; most sources need not be told that their rows are safe."""


@dataclass(frozen=True)
class Origin:
    """Where batches come from, which decides who wins in the merge.

    `place` names the run whose extraction the rows belong to, where that is not the run that merges
    them but replays what was rejected. `moves_watermark` is false where the watermark must stay: it is past
    rows that are replayed, and may not go past rows that were never read. `day` is when reading began,
    where the source may have changed since: what changed after it may be missing among the rows.
    `fingerprint` marks a file as loaded once its rows are committed. `acknowledge` is called after the
    commit: it tells the source that its rows are safe.
    """

    kind: SourceKind
    place: str = ""
    moves_watermark: bool = True
    day: str = ""
    fingerprint: str | None = None
    acknowledge: Callable[[], object] = nothing

    @property
    def source(self) -> str:
        """Return the name under which the rows are stored."""
        return self.kind.name

    @property
    def is_replay(self) -> bool:
        """Say whether the rows were read by an earlier run."""
        return bool(self.place)


@dataclass(frozen=True, slots=True)
class Malformed:
    """Hold one row that could not be cut into its fields, as received, and why."""

    position: str
    content: bytes
    reason: str


@dataclass(frozen=True)
class RawBatch:
    """Hold one batch as received: the columns of a file, or the values of a JSON list.

    `received` is a record batch (CSV: every column binary; Parquet: its own types) or a sequence of
    parsed JSON values, one per row. `position` gives `file:row` or `page:index` for a row's index in
    `received`. `malformed` rows are not in `received`. `share` is how much of the whole source has been
    read after this batch, 0 to 1, where that is known. JSON values with `from_text` may spell numbers as
    text, as a CSV file does. `typed` holds the declared columns of JSON values that all have their types.
    """

    received: pa.RecordBatch | Sequence[object]
    position: Callable[[int], str]
    malformed: Sequence[Malformed] = ()
    share: float | None = None
    from_text: bool = False
    typed: pa.RecordBatch | None = None

    @property
    def columns(self) -> pa.RecordBatch | None:
        """Return the batch as columns, None where there are only JSON values."""
        return (
            cast("pa.RecordBatch", self.received) if isinstance(self.received, pa.RecordBatch) else self.typed
        )

    def __len__(self) -> int:
        """Count the rows that were read, malformed ones included."""
        return len(self.received) + len(self.malformed)
