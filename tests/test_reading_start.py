"""A reading starts where its parameters say, in the form of the cursor."""

import pyarrow as pa
import pytest

from notebook_pipeline.errors import UsageError
from notebook_pipeline.steps.reading_start import as_watermark, go_back, is_later

DAY, MOMENT, NUMBER = pa.date32(), pa.timestamp("us", "UTC"), pa.int64()


@pytest.mark.parametrize(
    ("since", "cursor", "watermark"),
    [
        ("", DAY, ""),
        ("2024-09-01", DAY, "2024-09-01"),
        ("20240901", DAY, "2024-09-01"),
        ("2024-09-01", MOMENT, "2024-09-01 00:00:00.000000"),
        ("2024-09-01T12:30:00Z", MOMENT, "2024-09-01 12:30:00.000000"),
        ("2024-09-01T12:30:00.5+02:00", MOMENT, "2024-09-01 10:30:00.500000"),
        ("2024-09-01 12:30:00.000001", MOMENT, "2024-09-01 12:30:00.000001"),
        ("0042", NUMBER, "42"),
        ("-7", NUMBER, "-7"),
    ],
)
def test_since_is_taken_in_the_form_of_the_cursor(since: str, cursor: pa.DataType, watermark: str) -> None:
    assert as_watermark(since, cursor) == watermark


@pytest.mark.parametrize(
    ("since", "cursor", "expected"),
    [
        ("yesterday", DAY, r"a day \(YYYY-MM-DD\)"),
        ("42", DAY, r"a day \(YYYY-MM-DD\)"),
        ("2024-13-01", MOMENT, "a moment"),
        ("0001-01-01T00:00:00+05:00", MOMENT, "a moment"),
        ("2024-09-01", NUMBER, "a whole number"),
        ("9" * 20, NUMBER, "a whole number"),
    ],
)
def test_a_since_of_another_form_is_refused(since: str, cursor: pa.DataType, expected: str) -> None:
    with pytest.raises(UsageError, match=f"`since` must be {expected}"):
        as_watermark(since, cursor)


@pytest.mark.parametrize(
    ("watermark", "overlap", "cursor", "found"),
    [
        ("2024-03-01", "", DAY, "2024-03-01"),
        ("2024-03-01", "2d", DAY, "2024-02-28"),
        ("2024-03-01", "12h", DAY, "2024-02-29"),
        ("2024-03-01", "48h", DAY, "2024-02-28"),
        ("2024-03-01", "0d", DAY, "2024-03-01"),
        ("2024-03-01 00:00:00.000000", "15min", MOMENT, "2024-02-29 23:45:00.000000"),
        ("2024-03-01 00:00:00.500000", "30s", MOMENT, "2024-02-29 23:59:30.500000"),
        ("100", "7", NUMBER, "93"),
        ("", "7", NUMBER, ""),
        ("", "2d", DAY, ""),
    ],
)
def test_an_overlap_goes_back(watermark: str, overlap: str, cursor: pa.DataType, found: str) -> None:
    assert go_back(watermark, overlap, cursor) == found


@pytest.mark.parametrize(
    ("overlap", "cursor", "reason"),
    [
        ("2", DAY, "must be a duration such as 2d, 12h, 15min or 30s, got '2'"),
        ("-1d", MOMENT, "must be a duration"),
        ("1w", MOMENT, "must be a duration"),
        ("2d", NUMBER, "must be a whole number, as the cursor of this dataset is one, got '2d'"),
        ("9999999d", DAY, "the calendar has no time so long before 2024-03-01"),
    ],
)
def test_an_overlap_that_does_not_fit_is_refused(overlap: str, cursor: pa.DataType, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        go_back("2024-03-01", overlap, cursor)


def test_watermarks_are_compared_by_their_type() -> None:
    assert is_later("2024-03-02", "2024-03-01", DAY)
    assert is_later("2024-03-02", "", DAY)
    assert not is_later("", "2024-03-02", DAY)
    assert is_later("10", "9", NUMBER)
    assert not is_later("-10", "9", NUMBER)
