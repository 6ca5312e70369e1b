"""Where and how a source writes a column: paths, formats, zones, and values that would lose digits."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.check_batch import check_batch
from notebook_pipeline.declare import Column, Dataset
from tests.bulk_data import TODAY

MOMENT, BERLIN = pa.timestamp("us", "UTC"), "Europe/Berlin"


def stored(column: Column, received: Any, *, family: Any = "files") -> object:
    """Return how the only value of a batch is stored, or the reason why its row is rejected."""
    dataset = Dataset("thing", (Column("id", pa.int64(), False), column), "id")
    is_column = isinstance(received, pa.Array)
    rows: Any = pa.record_batch({"id": [1], "a": received}) if is_column else [{"id": 1, **received}]
    checked = check_batch(RawBatch(rows, str, family=family), dataset, TODAY)
    return checked.rejected[0].reasons[0] if checked.rejected else checked.good["a"][0].as_py()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"team": {"id": "7"}}, 7),
        ({"team": {"id": None}}, None),
        ({"team": None}, None),
        ({"team": {}}, None),
        ({}, None),
        ({"team": 5}, "a: 5 is not a JSON object; expected one at team.id"),
    ],
)
def test_a_field_is_found_by_its_path(row: dict[str, object], expected: object) -> None:
    assert stored(Column("a", pa.int64(), at="team.id"), row, family="api") == expected


def test_a_field_that_may_not_be_null_is_missing() -> None:
    column = Column("a", pa.int64(), False, at="team.id")
    assert stored(column, {"team": None}, family="api") == "a: the field is missing"


@pytest.mark.parametrize(
    ("kind", "written", "value", "expected"),
    [
        (MOMENT, {}, "2025-01-01T01:00:00+02:00", utc(2024, 12, 31, 23)),
        (MOMENT, {}, "2025-01-01 01:00:00", utc(2025, 1, 1, 1)),
        (MOMENT, {"zone": BERLIN}, "2025-07-01 01:00:00", utc(2025, 6, 30, 23)),
        (MOMENT, {"zone": BERLIN}, "2025-10-26 02:30:00", utc(2025, 10, 26, 0, 30)),
        (MOMENT, {"zone": BERLIN}, "2025-03-30 02:30:00", utc(2025, 3, 30, 1, 30)),
        (MOMENT, {"format": "epoch_ms"}, 1735689600123, utc(2025, 1, 1, 0, 0, 0, 123000)),
        (MOMENT, {"format": "epoch"}, "1735689600.5", utc(2025, 1, 1, 0, 0, 0, 500000)),
        (MOMENT, {"format": "%d.%m.%Y %H:%M", "zone": BERLIN}, "01.01.2025 01:00", utc(2025, 1, 1)),
        (pa.date32(), {"format": "epoch_day"}, 1, "1970-01-02"),
        (pa.date32(), {"format": "%d.%m.%Y"}, "31.01.2025", "2025-01-31"),
        (pa.date32(), {"format": "epoch"}, 86400, "1970-01-02"),
        (pa.date32(), {}, "2025-01-01T00:00:00Z", "2025-01-01"),
        (pa.date32(), {"zone": BERLIN}, "2024-12-31T23:00:00Z", "2025-01-01"),
        (pa.time64("us"), {"format": "%H.%M"}, "07.30", "07:30:00.000000"),
        (pa.string(), {}, 202315, "202315"),
        (pa.bool_(), {}, "TRUE", True),
        (pa.int8(), {}, "127", 127),
        (pa.decimal128(5, 2), {}, 1.5, Decimal("1.50")),
        (pa.json_(), {}, {"b": 1.0, "a": [2**70]}, f'{{"a":[{2**70}],"b":1.0}}'),
    ],
)
def test_values_are_read_as_they_are_written(
    kind: pa.DataType, written: dict[str, str], value: object, expected: object
) -> None:
    assert stored(Column("a", kind, **written), {"a": value}, family="api") == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (pa.int8(), 300, "300 does not fit into int8, which ends at 127"),
        (pa.uint16(), -1, "-1 does not fit into uint16, which starts at 0"),
        (pa.uint64(), 2**63, f"{2**63} does not fit into uint64, which ends at {2**63 - 1:,}"),
        (pa.float32(), 1e39, "1e+39 does not fit into float, which ends at 3.40282e+38"),
        (pa.float64(), 2**53 + 1, f"{2**53 + 1} has more digits than a number of 64 bits keeps; declare a"),
        (pa.decimal128(5, 2), "1.234", "'1.234' has too many digits: at most 3 before the point and 2 after"),
        (pa.bool_(), "yes", "'yes' is not a truth value (true, false, 1 or 0)"),
        (MOMENT, "2025-01-01 00:00:00.1234567", "has digits beyond microseconds, which are not stored"),
        (pa.timestamp("s"), "2025-01-01 00:00:00.5", "has more digits than its column, which counts in s"),
        (pa.date32(), "2025-01-01T00:00:00+02:00", "is not a day (YYYY-MM-DD): it is not midnight in UTC"),
        (pa.json_(), {"a": "\0"}, "contains a NUL character"),
    ],
)
def test_values_that_would_lose_something_are_rejected(kind: pa.DataType, value: object, reason: str) -> None:
    assert reason in str(stored(Column("a", kind), {"a": value}, family="api"))


@pytest.mark.parametrize(
    ("kind", "received", "expected"),
    [
        (pa.string(), pa.array([202315], pa.int32()), "202315"),
        (pa.string(), pa.array([date(2025, 1, 31)]), "2025-01-31"),
        (pa.float64(), pa.array([Decimal("25.99")], pa.decimal128(9, 2)), 25.99),
        (MOMENT, pa.array([1], pa.timestamp("ns")), "has digits beyond microseconds"),
        (MOMENT, pa.array([datetime(9999, 12, 31)], pa.timestamp("ms")), utc(9999, 12, 31)),
        (
            pa.float64(),
            pa.array([Decimal("123456789012345678901.25")], pa.decimal128(38, 2)),
            "has more digits than a number of 64 bits keeps",
        ),
    ],
)
def test_typed_columns_convert_where_no_digit_is_lost(
    kind: pa.DataType, received: pa.Array, expected: object
) -> None:
    found = stored(Column("a", kind), received)
    assert found == expected or (isinstance(found, str) and str(expected) in found)


def test_a_long_number_among_nulls_and_short_ones_is_kept() -> None:
    column = Column("a", pa.float64())
    dataset = Dataset("thing", (Column("id", pa.int64(), False), column), "id")
    texts = [None, "1.5", "1.1085245097628593e-189", "0.30000000000000004"]
    batch = pa.record_batch({"id": ["1", "2", "3", "4"], "a": texts})
    good = check_batch(RawBatch(batch, str), dataset, TODAY).good
    assert good["a"].to_pylist() == [None, 1.5, 1.1085245097628593e-189, 0.30000000000000004]
