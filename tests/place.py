"""A dataset unlike the players, as a project declares one: a text as key, numbers, gaps."""

import pyarrow as pa

from notebook_pipeline.declare import (
    AllowedValues,
    Column,
    Dataset,
    EveryRow,
    Fresh,
    NotNull,
    Range,
    Rest,
    RowCount,
    Since,
    Total,
    Unique,
)

PLACE = Dataset(
    name="place",
    columns=(
        Column("name", pa.string(), nullable=False),
        Column("height", pa.float64()),
        Column("people", pa.int64()),
        Column("founded", pa.date32()),
        Column("kind", pa.string()),
        Column("last_changed_date", pa.date32(), nullable=False),
    ),
    key="name",
    cursor="last_changed_date",
    api=Rest(
        "v0/players/", since=Since("minimum_last_changed_date"), total=Total("player_count", "v0/counts/")
    ),
    rules=(Range("height", low=-430.5), AllowedValues("kind", ("town", "city"))),
    checks=(
        RowCount(),
        Unique("name"),
        EveryRow(NotNull("height"), "warn"),
        EveryRow(Range("height", low=-3.5, high=8_849.1)),
        EveryRow(Range("founded", high="2024-01-01")),
        Fresh(max_days=7),
    ),
)
