"""The classes that declare a condition on one row, for rules and for checks."""

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import ClassVar

from notebook_pipeline.declare.arguments import Declaration

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
