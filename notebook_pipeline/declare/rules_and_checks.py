"""The words in which a dataset is declared: rules for rows that come in, checks for what is stored."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from notebook_pipeline.declare.arguments import Declaration

Severity = Literal["error", "warn"]
Side = Literal["drop", "jump"]


class Named(Declaration):
    """Give a declaration the name under which its results are kept and compared over time."""

    phrase: ClassVar[str]

    @property
    def name(self) -> str:
        """Return the class's phrase, filled with the declaration's own fields."""
        return self.phrase.format_map(vars(self))


@dataclass(frozen=True)
class NotNull(Named):
    """Require a value in every row."""

    phrase = "{column} is not null"
    column: str


@dataclass(frozen=True)
class AllowedValues(Named):
    """Require one of a few values (null passes; pair with NotNull)."""

    phrase = "{column} is an allowed value"
    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Pattern(Declaration):
    """Require that the whole text matches an RE2 expression (null passes)."""

    column: str
    expression: str


@dataclass(frozen=True)
class Range(Named):
    """Require `low <= value <= high`; a bound of None is open (null passes)."""

    phrase = "{column} is in range"
    column: str
    low: float | str | None = None
    high: float | str | None = None


@dataclass(frozen=True)
class NotInFuture(Named):
    """Require a day at most `days` after today (null passes)."""

    phrase = "{column} is not in the future"
    column: str
    days: int = 1


Rule = NotNull | AllowedValues | Pattern | Range | NotInFuture


@dataclass(frozen=True)
class Glob(Named):
    """Require that the whole text matches an SQLite GLOB: `*`, `?`, `[0-9]` (null passes)."""

    phrase = "{column} has its form"
    column: str
    glob: str


@dataclass(frozen=True)
class References(Named):
    """Require that the value is found in another table's column, which should be indexed (null passes)."""

    phrase = "{column} is in {table}"
    column: str
    table: str
    other: str


@dataclass(frozen=True)
class Condition(Declaration):
    """Require that an SQL condition on one row is not false (null passes)."""

    name: str
    sql: str


RowCondition = NotNull | AllowedValues | Range | NotInFuture | Glob | References | Condition


@dataclass(frozen=True)
class EveryRow(Declaration):
    """Check a condition on every row; up to `max_rows`, or `max_percent` of the rows, may break it."""

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
    """Check that no value occurs twice; free where an index forbids it, else it costs a sort."""

    phrase = "{column} is unique"
    column: str
    severity: Severity = "error"


@dataclass(frozen=True)
class NoRows(Declaration):
    """Check that an SQL query finds no rows, or at most `max_rows`: those it finds are the offenders."""

    name: str
    sql: str
    severity: Severity = "error"
    max_rows: int = 0


@dataclass(frozen=True)
class RowCount(Named):
    """Check that the table has at least `low` and at most `high` rows."""

    phrase = "number of rows"
    low: int = 1
    high: int | None = None
    severity: Severity = "error"


@dataclass(frozen=True)
class MatchesSource(Named):
    """Check the number of rows against the source's own count, if it was counted since the last load."""

    phrase = "number of rows matches the source"
    max_percent: float = 1.0
    severity: Severity = "error"


@dataclass(frozen=True)
class Fresh(Named):
    """Check that the newest cursor is at most `max_days` before today.

    Add the days between two scheduled runs to those that the source itself may lag behind.
    """

    phrase = "newest change is recent"
    max_days: int
    severity: Severity = "error"


@dataclass(frozen=True)
class RejectedShare(Named):
    """Check the share of rows that the judged run rejected, by default the newest load."""

    phrase = "share of rejected rows"
    max_percent: float = 1.0
    severity: Severity = "error"


@dataclass(frozen=True)
class UsualRowCount(Named):
    """Check the number of rows against its history; a change below `tolerance_percent` is always usual."""

    phrase = "no {side} in the number of rows"
    side: Side
    severity: Severity = "error"
    tolerance_percent: float = 2.0


@dataclass(frozen=True)
class UsualChanges(Named):
    """Check that about as many rows changed yesterday, the last full day, as the history leads to expect.

    It finds a feed that is stuck although it answers. Quiet weekends are usual: only a drop by more
    than `tolerance_percent` counts.
    """

    phrase = "rows changed yesterday"
    severity: Severity = "error"
    tolerance_percent: float = 90.0


@dataclass(frozen=True)
class UsualNulls(Named):
    """Check a column's share of nulls against its history."""

    phrase = "share of nulls in {column}"
    column: str
    severity: Severity = "error"
    tolerance_points: float = 0.5


@dataclass(frozen=True)
class UsualMix(Named):
    """Check the shares of a column's values against their history; values not named count as `other`."""

    phrase = "mix of {column}"
    column: str
    values: tuple[str, ...]
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


def column_of(declared: Rule | Check) -> str | None:
    """Return the one column that a rule or check is about, or None."""
    return getattr(declared.condition if isinstance(declared, EveryRow) else declared, "column", None)
