"""Declare what a table is: Arrow schema, key, cursor, endpoint, row rules and table checks."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from notebook_pipeline.declare.rules_and_checks import (
    AllowedValues,
    Check,
    Condition,
    EveryRow,
    Fresh,
    Glob,
    MatchesSource,
    NotInFuture,
    NotNull,
    Range,
    RejectedShare,
    RowCount,
    Rule,
    Unique,
    UsualChanges,
    UsualMix,
    UsualNulls,
    UsualRowCount,
    column_of,
)
from notebook_pipeline.errors import UsageError


@dataclass(frozen=True)
class Dataset:
    """Describe one table of the analytics database and where its rows come from.

    `schema` holds the dataset's own columns in order; dates are stored as ISO days in text. The key is a
    whole number or a text, the cursor a day; no row is without them, or without what is not nullable.
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
    checks: tuple[Check, ...] = ()

    def __post_init__(self) -> None:
        columns = set(self.schema.names)
        named = {column_of(declared) for declared in (*self.rules, *self.checks)} - {None}
        unknown = {self.key, self.cursor, *named} - columns
        if unknown:
            raise UsageError(
                f"dataset {self.name!r} declares no column {sorted(unknown)}; it has {sorted(columns)}"
            )
        for name, kinds in ((self.key, (pa.int64(), pa.string())), (self.cursor, (pa.date32(),))):
            field = self.schema.field(name)
            if field.nullable or field.type not in kinds:
                raise UsageError(
                    f"dataset {self.name!r} declares {name} as {field}; rows are merged by it, so declare it "
                    f"as {' or '.join(map(str, kinds))} with nullable=False"
                )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise UsageError(f"dataset name {self.name!r}: use small letters, digits and _, a letter first")
        twice = [name for name, count in Counter(check.name for check in self.checks).items() if count > 1]
        if twice:
            raise UsageError(f"dataset {self.name!r} has several checks named {twice}; name each by itself")


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
    checks=(
        RowCount(low=1),
        MatchesSource(max_percent=1.0, severity="warn"),
        UsualRowCount("drop"),
        UsualRowCount("jump", severity="warn"),
        Unique("player_id"),
        EveryRow(Range("player_id", low=0)),
        EveryRow(NotNull("first_name")),
        EveryRow(NotNull("last_name")),
        EveryRow(Condition("names are not blank", "trim(first_name) > '' AND trim(last_name) > ''"), "warn"),
        EveryRow(NotNull("position")),
        EveryRow(AllowedValues("position", POSITIONS)),
        UsualMix("position", POSITIONS, severity="warn"),
        EveryRow(Glob("gsis_id", "00-" + "[0-9]" * 7), "warn"),
        UsualNulls("gsis_id", severity="warn"),
        EveryRow(NotNull("last_changed_date")),
        EveryRow(NotInFuture("last_changed_date")),
        Fresh(max_days=3, severity="warn"),
        UsualChanges(severity="warn"),
        RejectedShare(max_percent=1.0, severity="warn"),
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
