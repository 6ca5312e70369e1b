"""Say what is usual for a number that every run measures, from its history: median and MAD.

A value is compared with the median of the last few runs, so that growth is not taken for a fault. How
far values usually depart from that median is the median absolute deviation (MAD) over a longer history,
which a few faults in it do not move. Where the MAD is 0, or smaller than what matters, the tolerance
declared with the check takes its place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

WINDOW = 30
"""How many earlier runs are looked at."""
RECENT = 5
"""How many of them say what the value should be now."""
ENOUGH = 10
"""How many there must be before anything is said."""
WIDTH = 6.0
"""How many robust standard deviations are still usual."""

_STANDARD = 1.4826
"""The standard deviation of normally distributed values over their MAD."""
_BEFORE_FIRST = 3
"""How many values a departure is measured against at the least."""


@dataclass(frozen=True)
class Usual:
    """Hold the bounds of what is usual, the median of the last runs, and the number of runs behind them."""

    low: float
    high: float
    middle: float
    runs: int


def usual(history: Sequence[float], *, tolerance: float, noise: float = 0.0) -> Usual | None:
    """Return the bounds that a history, oldest value first, sets for the next value; None if it is short.

    `tolerance` is the least departure that counts, `noise` the one that chance explains, in the value's unit.
    """
    values = history[-WINDOW:]
    if len(values) < ENOUGH:
        return None
    departures = [
        value - median(values[max(0, place - RECENT) : place])
        for place, value in enumerate(values)
        if place >= _BEFORE_FIRST
    ]
    drift = median(departures)
    deviation = _STANDARD * median(abs(departure - drift) for departure in departures)
    half = max(WIDTH * deviation, tolerance, noise)
    middle = median(values[-RECENT:])
    return Usual(middle + drift - half, middle + drift + half, middle, len(values))


def usual_count(history: Sequence[float], *, tolerance_percent: float) -> Usual | None:
    """Return the bounds for a count, whose departures are taken as ratios: twice as many, half as many.

    A drop by `tolerance_percent`, and the rise that would undo it, always count as usual.
    """
    bounds = usual([math.log1p(value) for value in history], tolerance=-math.log1p(-tolerance_percent / 100))
    if bounds is None:
        return None
    return Usual(math.expm1(bounds.low), math.expm1(bounds.high), math.expm1(bounds.middle), bounds.runs)


def usual_share(
    history: Sequence[float], *, tolerance_points: float, rows: int | None = None
) -> Usual | None:
    """Return the bounds for a share in percent.

    `rows` says over how few rows the next share is counted, where it is not the whole table: then what
    chance explains is usual too.
    """
    if len(history) < ENOUGH:
        return None
    noise = 0.0 if rows is None else _share_noise(median(history[-RECENT:]), rows)
    bounds = usual(history, tolerance=tolerance_points, noise=noise)
    return bounds and Usual(max(bounds.low, 0.0), min(bounds.high, 100.0), bounds.middle, bounds.runs)


def _share_noise(percent: float, rows: int) -> float:
    """Return four standard errors of a binomial share, after Agresti and Coull: a share of 0 has some too."""
    likely = (percent / 100 * rows + 2) / (rows + 4)
    return 4 * 100 * math.sqrt(likely * (1 - likely) / (rows + 4))
