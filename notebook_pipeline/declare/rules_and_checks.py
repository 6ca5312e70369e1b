"""The classes that declare rules for incoming rows and checks of stored rows."""

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import ClassVar, Literal

from notebook_pipeline.declare.arguments import Declaration

Severity = Literal["error", "warn"]
Side = Literal["drop", "jump"]
Bound = int | float | Decimal | str | date | datetime | time
"""The value at an end of a range, which the type of its column must be able to express."""


class Named(Declaration):
    """A declaration with a name, under which its results are stored and compared over time."""

    phrase: ClassVar[str]

    @property
    def name(self) -> str:
        """Return the phrase of the class, with this declaration's fields filled in."""
        return self.phrase.format_map(vars(self))


@dataclass(frozen=True)
class NotNull(Named):
    """The condition that every row has a value."""

    phrase = "{column} is not null"
    column: str


@dataclass(frozen=True)
class AllowedValues(Named):
    """The condition that a text or an integer is one of `values` (null passes; combine with NotNull)."""

    phrase = "{column} is an allowed value"
    column: str
    values: tuple[str | int, ...]


@dataclass(frozen=True)
class Pattern(Declaration):
    """The condition that the whole text matches an RE2 expression (null passes)."""

    column: str
    expression: str


@dataclass(frozen=True)
class Range(Named):
    """The condition `low <= value <= high`; a bound of None is open (null passes)."""

    phrase = "{column} is in range"
    column: str
    low: Bound | None = None
    high: Bound | None = None


@dataclass(frozen=True)
class NotInFuture(Named):
    """The condition that a day or a moment is at most `days` after today, in UTC (null passes)."""

    phrase = "{column} is not in the future"
    column: str
    days: int = 1


Rule = NotNull | AllowedValues | Pattern | Range | NotInFuture


@dataclass(frozen=True)
class Glob(Named):
    """The condition that the whole text matches an SQLite GLOB: `*`, `?`, `[0-9]` (null passes)."""

    phrase = "{column} has its form"
    column: str
    glob: str


@dataclass(frozen=True)
class References(Named):
    """The condition that a value exists in another table's column, which should be indexed (null passes)."""

    phrase = "{column} is in {table}"
    column: str
    table: str
    other: str


@dataclass(frozen=True)
class Condition(Declaration):
    """The condition that an SQL expression on one row is not false (null passes)."""

    name: str
    sql: str


RowCondition = NotNull | AllowedValues | Range | NotInFuture | Glob | References | Condition


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
