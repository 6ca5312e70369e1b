"""A percentage of rejected rows is a share of many; a few rows never block what comes after them."""

import pytest

from notebook_pipeline.steps.rejection_limits import Limits


@pytest.mark.parametrize(
    ("limits", "is_live", "rejected", "read", "exceeded"),
    [
        # A bulk load: the larger of the percentage and the smaller of ten rows and a tenth of the rows.
        (Limits(), False, 2, 21, ""),
        (Limits(), False, 3, 21, "max_rejected_percent = 1.0"),
        (Limits(), False, 10, 500, ""),
        (Limits(), False, 11, 500, "max_rejected_percent = 1.0"),
        (Limits(), False, 100, 10_000, ""),
        (Limits(), False, 101, 10_000, "max_rejected_percent = 1.0"),
        (Limits(), False, 1, 1, "max_rejected_percent = 1.0"),
        # A live run: at least ten, even if these are all.
        (Limits(), True, 10, 10, ""),
        (Limits(), True, 11, 11, "max_rejected_percent = 1.0"),
        # None where the percentage is 0, and no more than the number that is given.
        (Limits(max_rejected_percent=0.0), True, 1, 1_000, "max_rejected_percent = 0.0"),
        (Limits(max_rejected_percent=0.0), False, 1, 1_000, "max_rejected_percent = 0.0"),
        (Limits(max_rejected_rows=0), True, 1, 1_000, "max_rejected_rows = 0"),
        (Limits(max_rejected_rows=5, max_rejected_percent=100.0), False, 6, 6, "max_rejected_rows = 5"),
    ],
)
def test_the_limit_that_is_exceeded(
    limits: Limits, is_live: bool, rejected: int, read: int, exceeded: str
) -> None:
    assert (limits.exceeded_by(rejected, read, is_live=is_live) or "") == exceeded
