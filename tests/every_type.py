"""A dataset with a column of every kind of type, and rows of it as each source writes them."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from pyarrow import parquet

from notebook_pipeline.contract.json_values import canonical
from notebook_pipeline.declare import Column, Dataset

EVERY = Dataset(
    "every",
    (
        Column("id", pa.int64(), nullable=False),
        Column("small", pa.int8()),
        Column("count", pa.uint32()),
        Column("large", pa.uint64()),
        Column("ratio", pa.float32()),
        Column("share", pa.float64()),
        Column("truth", pa.bool_()),
        Column("money", pa.decimal128(15, 2)),
        Column("whole", pa.decimal128(15, 0)),
        Column("day", pa.date32()),
        Column("moment", pa.timestamp("us", "UTC")),
        Column("local", pa.timestamp("us")),
        Column("second", pa.timestamp("s", "UTC")),
        Column("clock", pa.time64("us")),
        Column("text", pa.string()),
        Column("data", pa.binary()),
        Column("tree", pa.json_()),
    ),
    "id",
)
Row = dict[str, Any]

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=9)
_TREES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
_MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999))
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "small": st.integers(-128, 127),
    "count": st.integers(0, 2**32 - 1),
    "large": st.integers(0, 2**63 - 1),
    "ratio": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "share": st.floats(allow_nan=False, allow_infinity=False),
    "truth": st.booleans(),
    "money": st.decimals(Decimal("-9999999999999.99"), Decimal("9999999999999.99"), places=2),
    "whole": st.integers(-(10**15) + 1, 10**15 - 1).map(Decimal),
    "day": st.dates(),
    "moment": _MOMENTS.map(lambda found: found.replace(tzinfo=UTC)),
    "local": _MOMENTS,
    "second": _MOMENTS.map(lambda found: found.replace(tzinfo=UTC, microsecond=0)),
    "clock": st.times(),
    "text": _TEXT,
    "data": _TEXT.map(str.encode),
    "tree": _TREES,
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}),
    min_size=1,
    max_size=9,
).map(lambda rows: [{"id": at, **{name: row[name] for name in VALUES}} for at, row in enumerate(rows)])

LOWEST = {
    "small": -128, "count": 0, "large": 0, "ratio": -3.4028234663852886e38, "share": -1.7976931348623157e308,
    "truth": False, "money": Decimal("-9999999999999.99"), "whole": Decimal(-(10**15) + 1),
    "day": date.min, "moment": datetime.min.replace(tzinfo=UTC), "local": datetime.min,
    "second": datetime.min.replace(tzinfo=UTC), "clock": time.min, "text": "\x01",
    "data": b"\x01", "tree": [],
}  # fmt: skip
HIGHEST = {
    "small": 127, "count": 2**32 - 1, "large": 2**63 - 1, "ratio": 3.4028234663852886e38,
    "share": 1.7976931348623157e308, "truth": True, "money": Decimal("9999999999999.99"),
    "whole": Decimal(10**15 - 1), "day": date.max, "moment": datetime.max.replace(tzinfo=UTC),
    "local": datetime.max, "second": datetime.max.replace(tzinfo=UTC, microsecond=0), "clock": time.max,
    "text": "\U0010ffff", "data": "\U0010ffff".encode(), "tree": {"b": 1e300, "a": [10**300, None]},
}  # fmt: skip
EXTREMES = [
    {"id": 0, **LOWEST},
    {"id": 1, **HIGHEST},
    {"id": 2, **dict.fromkeys(VALUES)},
    {"id": 3, **dict.fromkeys(VALUES), "share": 5e-324, "ratio": -0.0, "text": "é", "data": b"~"},
    {"id": 4, **dict.fromkeys(VALUES), "share": 0.1, "ratio": 1.5, "text": "z", "tree": {"é": "\U0001f600"}},
]


def as_csv(rows: Sequence[Row]) -> pa.RecordBatch:
    """Return rows as a reader of CSV does: every column text, null where there was nothing."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    for row in rows:
        writer.writerow(["" if value is None else _in_text(name, value) for name, value in row.items()])
    read = csv.reader(io.StringIO(out.getvalue(), newline=""))
    cells = [[cell or None for cell in line] for line in read]
    columns = [pa.array(column, pa.string()) for column in zip(*cells, strict=True)]
    return pa.RecordBatch.from_arrays(columns, list(rows[0]))


def as_parquet(rows: Sequence[Row]) -> pa.RecordBatch:
    """Return rows that were written to a Parquet file in their own types, and read again."""
    fields = {field.name: pa.string() if field.name == "tree" else field.type for field in EVERY.schema}
    columns = {
        name: pa.array([None if row[name] is None else _in_own_type(name, row[name]) for row in rows], kind)
        for name, kind in fields.items()
    }
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    [batch] = parquet.read_table(io.BytesIO(file.getvalue())).to_batches()
    return batch


def as_json(rows: Sequence[Row]) -> list[object]:
    """Return rows as a reader of JSON does."""
    spelled = [{name: _in_json(name, value) for name, value in row.items()} for row in rows]
    return json.loads(json.dumps(spelled))


def neutral(rows: Sequence[Row]) -> list[Row]:
    """Return rows as the contract gives them."""
    return [{name: _neutral(name, value) for name, value in row.items()} for row in rows]


def _neutral(name: str, value: Any) -> object:
    if value is None:
        return None
    if name == "tree":
        return canonical(value)
    if name == "day":
        return value.isoformat()
    return f"{value:%H:%M:%S.%f}" if name == "clock" else value


def _in_text(name: str, value: Any) -> str:
    match value:
        case _ if name == "tree":
            return json.dumps(value)
        case bytes():
            return value.decode()
        case datetime() | date() | time():
            return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)


def _in_own_type(name: str, value: Any) -> object:
    return json.dumps(value) if name == "tree" else value


def _in_json(name: str, value: Any) -> object:
    if value is None or isinstance(value, bool | int | float) or name == "tree":
        return value
    if isinstance(value, Decimal):
        return float(value) if name == "money" else int(value)
    return _in_text(name, value)
