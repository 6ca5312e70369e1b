"""The input and the outcome of a check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from notebook_pipeline.checks.measured_history import History
from notebook_pipeline.checks.scan import Numbers, Source
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database


@dataclass(frozen=True)
class Subject:
    """The input of checks: the rows in scope, the whole table, the loads, and the history.

    `rows` has the numbers measured over `source`, `table` those over the whole table.
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
        """Return the dataset that is checked."""
        return self.source.dataset


@dataclass(frozen=True)
class Finding:
    """The outcome of one check; `sample` has at most 20 offending rows.

    `number` is the measured value if it is a number, `counts` the rows by value if it is a distribution.
    """

    passed: bool
    measured: str
    expected: str
    sample: Sequence[dict[str, object]] = ()
    number: float | None = None
    counts: Mapping[str, int] | None = None
