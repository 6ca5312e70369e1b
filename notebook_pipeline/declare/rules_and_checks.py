"""What may be declared as a rule for incoming rows, and the classes that declare checks of stored rows."""

from dataclasses import dataclass
from typing import Literal

from notebook_pipeline.declare.arguments import Declaration
from notebook_pipeline.declare.row_conditions import (
    AllowedValues,
    Named,
    NotInFuture,
    NotNull,
    Pattern,
    Range,
    RowCondition,
)

Severity = Literal["error", "warn"]
Side = Literal["drop", "jump"]
Rule = NotNull | AllowedValues | Pattern | Range | NotInFuture


@dataclass(frozen=True)
class EveryRow(Declaration):
    """The check of a condition on every row; up to `max_rows`, or `max_percent` of the rows, may break it."""

    condition: RowCondition
    severity: Severity = "error"
    max_rows: int = 0
    max_percent: float | None = None

    @property
    def name(self) -> str:
        """Return the condition's name."""
        return self.condition.name


@dataclass(frozen=True)
class Unique(Named):
    """The check that no value of a column, or of several together, occurs twice (null never does).

    Without a unique index it needs a sort.
    """

    phrase = "{column} is unique"
    column: str | tuple[str, ...]
    severity: Severity = "error"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns as a tuple."""
        return (self.column,) if isinstance(self.column, str) else self.column

    @property
    def name(self) -> str:
        """Return the phrase with the columns, separated by commas."""
        return self.phrase.format(column=", ".join(self.columns))


@dataclass(frozen=True)
class NoRows(Declaration):
    """The check that an SQL query, which selects violations, returns at most `max_rows` rows."""

    name: str
    sql: str
    severity: Severity = "error"
    max_rows: int = 0


@dataclass(frozen=True)
class RowCount(Named):
    """The check that the table has at least `low` and at most `high` rows."""

    phrase = "number of rows"
    low: int = 1
    high: int | None = None
    severity: Severity = "error"


@dataclass(frozen=True)
class MatchesSource(Named):
    """The check of the number of rows against the source's own count, if taken since the last load."""

    phrase = "number of rows matches the source"
    max_percent: float = 1.0
    severity: Severity = "error"


@dataclass(frozen=True)
class Fresh(Named):
    """The check that the newest cursor is at most `max_days` before today.

    Add the days between two scheduled runs to the delay of the source itself.
    """

    phrase = "newest change is recent"
    max_days: int
    severity: Severity = "error"


@dataclass(frozen=True)
class RejectedShare(Named):
    """The check of the share of rows that a run rejected, by default the newest load."""

    phrase = "share of rejected rows"
    max_percent: float = 1.0
    severity: Severity = "error"


@dataclass(frozen=True)
class UsualRowCount(Named):
    """The check of the number of rows against its history; a change below `tolerance_percent` passes."""

    phrase = "no {side} in the number of rows"
    side: Side
    severity: Severity = "error"
    tolerance_percent: float = 2.0


@dataclass(frozen=True)
class UsualChanges(Named):
    """The check that about as many rows changed yesterday, the last full day, as the history predicts.

    It detects a feed that still answers but no longer changes. Quiet weekends pass: only a drop by more than
    `tolerance_percent` counts.
    """

    phrase = "rows changed yesterday"
    severity: Severity = "error"
    tolerance_percent: float = 90.0


@dataclass(frozen=True)
class UsualNulls(Named):
    """The check of a column's share of nulls against its history."""

    phrase = "share of nulls in {column}"
    column: str
    severity: Severity = "error"
    tolerance_points: float = 0.5


@dataclass(frozen=True)
class UsualMix(Named):
    """The check of the shares of a column's values against their history; other values count as `other`."""

    phrase = "mix of {column}"
    column: str
    values: tuple[str | int, ...]
    severity: Severity = "error"
    tolerance_points: float = 0.5


Check = (
    EveryRow
    | Unique
    | NoRows
    | RowCount
    | MatchesSource
    | Fresh
    | RejectedShare
    | UsualRowCount
    | UsualChanges
    | UsualNulls
    | UsualMix
)


def columns_of(declared: Rule | Check) -> tuple[str, ...]:
    """Return the columns that a rule or check is about; none if it is about the table, or an expression."""
    named = getattr(declared.condition if isinstance(declared, EveryRow) else declared, "column", ())
    return (named,) if isinstance(named, str) else named
