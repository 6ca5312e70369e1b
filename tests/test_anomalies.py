"""What is usual: bounds from a history, and planted anomalies found in generated ones."""

from collections import Counter
from pathlib import Path

import feeds
import pytest

from notebook_pipeline.checks import Report
from notebook_pipeline.checks.anomalies import (
    ENOUGH,
    Share,
    Usual,
    usual,
    usual_count,
    usual_sample,
    usual_share,
)

# Thresholds were tuned on seeds from 1000 on; these were not looked at.
SEEDS = range(20)
FINDS = {
    "drop in volume": "no drop in the number of rows",
    "stuck feed": "rows changed yesterday",
    "burst of nulls": "share of nulls in gsis_id",
    "shifted mix": "mix of position",
}


def test_a_short_history_sets_no_bounds() -> None:
    assert usual([5.0] * (ENOUGH - 1), tolerance=1) is None
    assert usual_count([5.0] * (ENOUGH - 1), tolerance_percent=2) is None
    assert usual_share([Share(5.0, 100)] * (ENOUGH - 1), tolerance_points=1) is None
    assert usual_sample([Share(5.0, 100)] * (ENOUGH - 1), 100, tolerance_points=1) is None


def test_where_the_mad_is_zero_the_tolerance_is_the_bound() -> None:
    assert usual([100.0] * ENOUGH, tolerance=3) == Usual(97.0, 103.0, 100.0, ENOUGH)
    assert_bounds(usual_count([99.0] * ENOUGH, tolerance_percent=50), 49, 199, 99)


def test_bounds_are_six_robust_deviations_wide() -> None:
    to_and_fro = [99.0, 101.0] * 8
    half = 6 * 1.4826 * 2
    assert_bounds(usual(to_and_fro, tolerance=0.1), 101 - half, 101 + half, 101)


def test_steady_growth_is_usual() -> None:
    growing = [1000 * 1.05**day for day in range(20)]
    bounds = usual_count(growing, tolerance_percent=2)
    assert bounds is not None
    assert bounds.low < 1000 * 1.05**20 < bounds.high
    assert growing[-6] < bounds.low


@pytest.mark.parametrize("wrong", [0.0, 1e9])
def test_anomalies_in_the_history_do_not_widen_the_bounds(wrong: float) -> None:
    clean = [100.0, 101.0, 99.0] * 10
    distorted = [wrong if day in (12, 21) else value for day, value in enumerate(clean)]
    before, after = usual(clean, tolerance=2), usual(distorted, tolerance=2)
    assert before is not None
    assert after is not None
    assert (after.low, after.high) == pytest.approx((before.low, before.high), abs=6)


def test_only_the_last_runs_count() -> None:
    assert usual([7.0] * 50 + [100.0] * 30, tolerance=1) == Usual(99.0, 101.0, 100.0, 30)


def test_nothing_at_all_is_unusual_where_it_never_happened() -> None:
    wild = [10.0, 2000.0] * 10
    bounds = usual_count(wild, tolerance_percent=90)
    assert bounds is not None
    assert bounds.low == 1.0
    with_zeros = usual_count([*wild, 0.0, 10.0], tolerance_percent=90)
    assert with_zeros is not None
    assert with_zeros.low == 0.0
    small = usual_count([4.0] * 20, tolerance_percent=90)
    assert small is not None
    assert small.low == 0.0


def test_a_share_over_few_rows_may_depart_by_chance() -> None:
    history = [Share(10.0, 1000)] * 20
    few, many = (usual_sample(history, rows, tolerance_points=0.5) for rows in (30, 3000))
    assert few is not None
    assert many is not None
    assert few.low == 0.0 < many.low < 10 < many.high < 15 < few.high < 45


def test_a_share_stays_between_nothing_and_all() -> None:
    assert_bounds(usual_share([Share(99.9, 10)] * 12, tolerance_points=0.5), 99.4, 100, 99.9)
    assert_bounds(usual_share([Share(0.1, 10)] * 12, tolerance_points=0.5), 0, 0.6, 0.1)


def assert_bounds(found: Usual | None, low: float, high: float, middle: float) -> None:
    assert found is not None
    assert (found.low, found.high, found.middle) == pytest.approx((low, high, middle))


@pytest.mark.parametrize(
    "first", [SEEDS[0], *(pytest.param(first, marks=pytest.mark.soak) for first in SEEDS[5::5])]
)
def test_anomalies_in_the_rows_of_a_run_are_found_at_once(first: int, tmp_path: Path) -> None:
    check_histories(tmp_path, "run", SEEDS[first : first + 5])


@pytest.mark.parametrize(
    "first", [SEEDS[0], *(pytest.param(first, marks=pytest.mark.soak) for first in SEEDS[5::5])]
)
def test_anomalies_in_the_rows_of_a_table_are_found_at_once(first: int, tmp_path: Path) -> None:
    check_histories(tmp_path, "table", SEEDS[first : first + 5], reach=0.15)


def check_histories(folder: Path, scope: str, seeds: range, reach: float | None = None) -> None:
    """Check histories of 60 days: their four anomalies are found, 1 quiet run in 100 may be doubted."""
    found, missed, false, quiet = Counter(), [], [], 0
    for seed in seeds:
        planted = feeds.planted_days(seed)
        with feeds.feed(folder, seed, reach=reach) as feed:
            for day in range(feeds.DAYS):
                anomaly = planted.get(day)
                feed.next_day(anomaly)
                alarms = _alarms(feed.check(scope))
                if anomaly is None:
                    quiet += 1
                    false += [f"seed {seed}, day {day}: {alarms}"] if alarms else []
                elif FINDS[anomaly] in alarms:
                    found[anomaly] += 1
                else:
                    missed.append(f"seed {seed}, day {day}: {anomaly}")
    print(f"scope {scope}: found {dict(found)}, {len(false)} false alarms in {quiet} quiet runs")
    assert missed == []
    assert found == dict.fromkeys(feeds.ANOMALIES, len(seeds))
    assert len(false) <= quiet / 100, false


def _alarms(report: Report) -> set[str]:
    return {result.check_name for result in report.results if not result.passed}
