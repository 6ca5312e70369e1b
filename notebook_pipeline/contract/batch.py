"""Received rows in batches, each row with its position, not checked yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pyarrow as pa

from notebook_pipeline.contract.source_kind import SourceKind
from notebook_pipeline.declare.column import Family


def nothing() -> None:
    """Do nothing; most sources need no acknowledgement."""


@dataclass(frozen=True)
class Origin:
    """Where batches come from, which decides which version of a row wins in the merge.

    `place` is the place of the extraction in the order of all (see storage/extraction_order.py): of a replay
    that of the run that rejected the rows, of a live reading the moment at which it began; if it is empty,
    the run decides. `moves_watermark` is false if the watermark must stay: it is already past replayed rows,
    and must not pass rows that were never read. `day` is the day on which reading began, and `moment` the
    moment (UTC, YYYY-MM-DD HH:MM:SS.ffffff), if the source may have changed since: later changes may be
    missing from the rows. `highest` is the highest number read if the cursor is a number. `since` is the
    cursor, as text, from which changes were requested, or "" for all rows. With `accept_older`, stored rows
    that are newer than those read may be replaced. `fingerprint` marks a file as loaded once its rows are
    committed. `acknowledge` is called after the commit, to tell the source that its rows are safe.
    """

    kind: SourceKind
    place: str = ""
    is_replay: bool = False
    moves_watermark: bool = True
    day: str = ""
    moment: str = ""
    highest: int | None = None
    since: str = ""
    accept_older: bool = False
    fingerprint: str | None = None
    acknowledge: Callable[[], object] = nothing

    @property
    def source(self) -> str:
        """Return the name of the source that is stored with the rows."""
        return self.kind.name


@dataclass(frozen=True, slots=True)
class Malformed:
    """One row that could not be read, as received, and the reason; `fields` are those that could be."""

    position: str
    content: bytes
    reason: str
    fields: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class RawBatch:
    """One batch as received: the columns of a file, or the values of a JSON list.

    `received` is a record batch (CSV: every column text; Parquet: its own types) or a sequence of parsed
    JSON values, one per row. `position` returns `file:line` or `page:index` for a row's index in `received`.
    `malformed` rows are not in `received`. `share` is the fraction of the whole source, 0 to 1, that has been
    read after this batch, if known. JSON values with `from_text` may contain numbers as text, as in a CSV
    file. `typed` holds the declared columns of JSON values if all of them have their declared types.
    `deletions` has one bool per row of `received`, true if the source marks that row as deleted, or is None
    if it marks none. `family` decides where declared columns are found, and how their values are written.
    """

    received: pa.RecordBatch | Sequence[object]
    position: Callable[[int], str]
    malformed: Sequence[Malformed] = ()
    share: float | None = None
    from_text: bool = False
    typed: pa.RecordBatch | None = None
    deletions: pa.BooleanArray | None = None
    family: Family = "files"

    @property
    def columns(self) -> pa.RecordBatch | None:
        """Return the batch as columns, or None if there are only JSON values."""
        return (
            cast("pa.RecordBatch", self.received) if isinstance(self.received, pa.RecordBatch) else self.typed
        )

    def __len__(self) -> int:
        """Return the number of rows read, including malformed ones."""
        return len(self.received) + len(self.malformed)
