"""Numbers as text."""

from notebook_pipeline.number_texts import counted, in_seconds, percentage


def test_numbers_as_text() -> None:
    assert [counted(count, "row") for count in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]
    assert (percentage(12.3), in_seconds(1234.56)) == ("12.30 %", "1,234.6")
