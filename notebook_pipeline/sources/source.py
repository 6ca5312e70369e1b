"""The one interface behind which every kind of source stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.source_kind import SourceKind


class BeginAgain:
    """Stands among the batches where all those before it are void: the source is read from its start."""


@dataclass(frozen=True)
class Ending:
    """What a source says of its rows as a whole; `origin` is what is stored beside them.

    `notes` are for a person. `keys` are those of all rows read, as far as they were collected;
    `shows_missing` is true if a stored row whose key is not among them is certainly missing at the source.
    `source_count` is the source's own count of all its rows, None if it has none.
    """

    origin: Origin
    notes: Sequence[str] = ()
    rows: int | None = None
    keys: pa.Array = field(default_factory=lambda: pa.nulls(0))
    shows_missing: bool = False
    source_count: int | None = None


class Source(Protocol):
    """Rows to be read by one run, once."""

    @property
    def kind(self) -> SourceKind:
        """Return the kind of source."""
        ...

    @property
    def name(self) -> str:
        """Return what is read, without a secret."""
        ...

    def batches(self) -> Iterator[RawBatch | BeginAgain]:
        """Yield the rows as received, each with its position; raise PipelineError if not all came."""
        ...

    def ending(self) -> Ending:
        """Return what is known of the rows as a whole; of a kind that is read first, after the last batch."""
        ...
