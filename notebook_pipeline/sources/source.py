"""The interface that every kind of source implements."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.source_kind import SourceKind


class BeginAgain:
    """A marker between batches: the source is read again from its start, and earlier batches are void."""


@dataclass(frozen=True)
class Ending:
    """What a source reports about all its rows; `origin` is stored with them.

    `notes` are messages for people. `keys` are the keys of all rows read, if they were collected;
    `shows_missing` is true if a stored row whose key is not among them is missing at the source; with
    `read_keys_again`, it is missing only if its key is also not among those that this function reads: all
    keys of the source, in a second reading. `source_count` is the source's own count of all its rows, or None
    if it has none.
    """

    origin: Origin
    notes: Sequence[str] = ()
    rows: int | None = None
    keys: pa.Array = field(default_factory=lambda: pa.nulls(0))
    shows_missing: bool = False
    read_keys_again: Callable[[], pa.Array] | None = None
    source_count: int | None = None


class Source(Protocol):
    """A source of rows, read once by one run."""

    @property
    def kind(self) -> SourceKind:
        """Return the kind of source."""
        ...

    @property
    def name(self) -> str:
        """Return what is read, without secrets."""
        ...

    def batches(self) -> Iterator[RawBatch | BeginAgain]:
        """Yield the rows as received, each with its position; raise PipelineError if not all came."""
        ...

    def ending(self) -> Ending:
        """Return what is known about all rows; if the kind is read first, call this after the last batch."""
        ...
