"""Declare what a table is: Arrow schema, key, cursor, endpoint, row rules and table checks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from notebook_pipeline.errors import UsageError

Severity = Literal["error", "warn"]


@dataclass(frozen=True)
class NotNull:
    """Require a value in every row."""

    column: str


@dataclass(frozen=True)
class AllowedValues:
    """Require one of a few values (null passes; pair with NotNull)."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Pattern:
    """Require that the whole text matches an RE2 expression (null passes)."""

    column: str
    expression: str


@dataclass(frozen=True)
class Range:
    """Require `low <= value <= high`; a bound of None is open (null passes)."""

    column: str
    low: int | str | None = None
    high: int | str | None = None


@dataclass(frozen=True)
class NotInFuture:
    """Require a day at most `days` after today (null passes)."""

    column: str
    days: int = 1


Rule = NotNull | AllowedValues | Pattern | Range | NotInFuture


@dataclass(frozen=True)
class Dataset:
    """Describe one table of the analytics database and where its rows come from.

    `schema` holds the dataset's own columns in order; dates are stored as ISO days in text.
    `endpoint` and `count_field` are the API's list and the name of its total in `counts_endpoint`.
    `ignored` columns may arrive and are dropped; any other unknown column is reported as drift.
    """

    name: str
    schema: pa.Schema
    key: str
    cursor: str
    endpoint: str
    counts_endpoint: str
    count_field: str
    ignored: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    checks: tuple[object, ...] = field(default=())

    def __post_init__(self) -> None:
        columns = set(self.schema.names)
        unknown = {self.key, self.cursor, *(rule.column for rule in self.rules)} - columns
        if unknown:
            raise UsageError(
                f"dataset {self.name!r} declares no column {sorted(unknown)}; it has {sorted(columns)}"
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise UsageError(f"dataset name {self.name!r}: use small letters, digits and _, a letter first")


POSITIONS = ("QB", "RB", "WR", "TE", "K", "DEF")

PLAYER = Dataset(
    name="player",
    schema=pa.schema(
        [
            pa.field("player_id", pa.int64(), nullable=False),
            pa.field("gsis_id", pa.string()),
            pa.field("first_name", pa.string(), nullable=False),
            pa.field("last_name", pa.string(), nullable=False),
            pa.field("position", pa.string(), nullable=False),
            pa.field("last_changed_date", pa.date32(), nullable=False),
        ]
    ),
    key="player_id",
    cursor="last_changed_date",
    endpoint="v0/players/",
    counts_endpoint="v0/counts/",
    count_field="player_count",
    ignored=frozenset({"performances"}),
    rules=(
        NotNull("player_id"),
        Range("player_id", low=0),
        NotNull("first_name"),
        NotNull("last_name"),
        NotNull("position"),
        AllowedValues("position", POSITIONS),
        NotNull("last_changed_date"),
        NotInFuture("last_changed_date"),
    ),
)

DATASETS: Mapping[str, Dataset] = {dataset.name: dataset for dataset in (PLAYER,)}


def get(name: str) -> Dataset:
    """Return the declared dataset, or raise UsageError with the names there are."""
    try:
        return DATASETS[name]
    except KeyError:
        raise UsageError(
            f"unknown dataset {name!r}; declared in datasets.py: {', '.join(DATASETS)}"
        ) from None
