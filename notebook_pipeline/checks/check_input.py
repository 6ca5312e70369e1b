"""Hold what is judged and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from notebook_pipeline.checks.measured_history import History
from notebook_pipeline.checks.scan import Numbers, Source
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database


@dataclass(frozen=True)
class Subject:
    """Hold what is judged: the rows to look at, the table around them, the last loads, the history.

    `rows` has the numbers of `source`, `table` those of the whole table.
    """

    database: Database
    source: Source
    scope: str
    loads: tuple[str, ...]
    today: date
    history: History
    rows: Numbers
    table: Numbers

    @property
    def dataset(self) -> Dataset:
        """Return the dataset that is judged."""
        return self.source.dataset


@dataclass(frozen=True)
class Finding:
    """Hold what one check found; `sample` is at most 20 offending rows."""

    passed: bool
    measured: str
    expected: str
    sample: Sequence[dict[str, object]] = ()
