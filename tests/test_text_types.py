"""The types that texts are declared as: one that every value fits, and nothing that may be wrong."""

import pyarrow as pa
import pytest

from notebook_pipeline.discovery.text_types import MOMENT, type_of_texts
from notebook_pipeline.sources.files.number_text import NumberText

PLAIN, GERMAN = NumberText(".", ""), NumberText(",", ".")


@pytest.mark.parametrize(
    ("texts", "kind", "format"),
    [
        (["1", "-2", "0"], pa.int64(), ""),
        (["1", "007"], pa.string(), ""),
        (["+49", "+1"], pa.string(), ""),
        (["1", "2.5", "1e3"], pa.float64(), ""),
        (["1", "12345678901234567890123"], pa.string(), ""),
        (["1.0000000000000000001"], pa.string(), ""),
        (["1", "0x1F"], pa.string(), ""),
        (["True", "false"], pa.bool_(), ""),
        (["1", "x"], pa.string(), ""),
        ([], pa.string(), ""),
        (["2024-12-31"], pa.date32(), ""),
        (["2024-02-30"], pa.string(), ""),
        (["31.12.2024", "1.2.2024"], pa.date32(), "%d.%m.%Y"),
        (["12/31/2024"], pa.date32(), "%m/%d/%Y"),
        (["31/12/2024"], pa.date32(), "%d/%m/%Y"),
        (["01/02/2024"], pa.string(), ""),
        (["31-Dec-2024"], pa.date32(), "%d-%b-%Y"),
        (["2024-12-31 10:00", "2024-12-31T10:00:00.5Z"], MOMENT, ""),
        (["31.12.2024 10:00"], MOMENT, "%d.%m.%Y %H:%M"),
        (["12/31/2024 10:00:00 PM"], MOMENT, "%m/%d/%Y %I:%M:%S %p"),
        (["10:00", "23:59:59"], pa.time64("us"), ""),
    ],
)
def test_texts_have_the_type_that_all_fit(texts: list[str], kind: pa.DataType, format: str) -> None:
    found = type_of_texts(texts, PLAIN)
    assert (found.type, found.format) == (kind, format)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1.234,5", "2"], pa.float64()),
        (["1.234"], pa.int64()),
        (["1.2"], pa.string()),
        (["1,5"], pa.float64()),
    ],
)
def test_numbers_have_the_notation_of_their_file(texts: list[str], kind: pa.DataType) -> None:
    assert type_of_texts(texts, GERMAN).type == kind


def test_what_may_be_a_day_or_a_moment_is_marked() -> None:
    [of_day] = type_of_texts(["01/02/2024"], PLAIN).remarks
    assert of_day == (
        'is \'01/02/2024\' a day? Then declare pa.date32(), format="%d/%m/%Y" or format="%m/%d/%Y"'
    )
    assert type_of_texts(["20241231"], PLAIN).remarks == (
        'are these days? Then declare pa.date32(), format="%Y%m%d"',
    )
    assert "epoch_ms" in type_of_texts(["1700000000000"], PLAIN).remarks[0]
    assert "taken as UTC" in type_of_texts(["2024-12-31 10:00"], PLAIN).remarks[0]
