"""The value of a filter says the watermark in the API's words, and never a later one."""

import pytest

from notebook_pipeline.declare import Since
from notebook_pipeline.errors import UsageError
from notebook_pipeline.sources.http.since_values import filter_value

DAY, MOMENT, WHOLE, NUMBER = (
    "2024-03-31",
    "2024-03-30 23:30:00.250000",
    "2024-03-31 12:00:00.000000",
    "4711",
)


@pytest.mark.parametrize(
    ("since", "watermark", "value"),
    [
        (Since("s"), DAY, "2024-03-31"),
        (Since("s", inclusive=False), DAY, "2024-03-30"),
        (Since("s"), MOMENT, "2024-03-30"),
        (Since("s", zone="Europe/Berlin"), MOMENT, "2024-03-31"),
        (Since("s", zone="America/New_York", inclusive=False), MOMENT, "2024-03-29"),
        (Since("s", "timestamp"), MOMENT, "2024-03-30T23:30:00.250000Z"),
        (Since("s", "timestamp"), WHOLE, "2024-03-31T12:00:00Z"),
        (Since("s", "timestamp", inclusive=False), WHOLE, "2024-03-31T11:59:59.999999Z"),
        (Since("s", "timestamp", zone="Europe/Berlin"), WHOLE, "2024-03-31T14:00:00+02:00"),
        (Since("s", "timestamp"), DAY, "2024-03-31T00:00:00Z"),
        (Since("s", "timestamp", zone="Europe/Berlin"), DAY, "2024-03-31T00:00:00+01:00"),
        (Since("s", "epoch"), MOMENT, "1711841400"),
        (Since("s", "epoch", inclusive=False), MOMENT, "1711841399"),
        (Since("s", "epoch_ms"), MOMENT, "1711841400250"),
        (Since("s", "epoch_ms", inclusive=False), MOMENT, "1711841400249"),
        (Since("s", "epoch", zone="Europe/Berlin"), DAY, "1711839600"),
        (Since("s", "epoch"), "1969-12-31 23:59:59.500000", "-1"),
        (Since("s", "number"), NUMBER, "4711"),
        (Since("s", "number", inclusive=False), NUMBER, "4710"),
        (Since("s", "number", inclusive=False), "-5", "-6"),
        (Since("s", template="gte.{}"), DAY, "gte.2024-03-31"),
        (Since("s", "number", template="changed>={}"), NUMBER, "changed>=4711"),
        (Since("s", inclusive=False), "0001-01-01", "0001-01-01"),
    ],
)
def test_a_watermark_is_written_as_the_api_expects_it(since: Since, watermark: str, value: str) -> None:
    assert filter_value(watermark, since) == value


@pytest.mark.parametrize(
    ("since", "watermark", "reason"),
    [
        (Since("s"), NUMBER, "the form 'day', which does not fit the cursor '4711'; set `form` .* 'number'"),
        (Since("s", "number"), DAY, "set `form` of the Since to 'day', 'timestamp', 'epoch' or 'epoch_ms'"),
        (Since("s"), "soon", "found the watermark 'soon'; expected a day"),
    ],
)
def test_a_form_that_does_not_fit_the_cursor_is_refused(since: Since, watermark: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        filter_value(watermark, since)
