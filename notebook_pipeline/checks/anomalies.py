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
FEW = 10
"""A count below this may be 0 by chance."""
CHANCE = 4.5
"""How many standard errors of a share over a few rows are still usual."""

_MEDIAN_ERROR = 1.2533
"""The standard error of a median over that of a mean, of normal values."""
_BEFORE_FIRST = 3
"""How many values a departure is measured against at the least."""


@dataclass(frozen=True)
class Usual:
    """Hold the bounds of what is usual, the median of the last runs, and the number of runs behind them."""

    low: float
    high: float
    middle: float
    runs: int


@dataclass(frozen=True)
class Share:
    """Hold a share in percent and the number of rows over which it was counted."""

    percent: float
    rows: int

    @property
    def error(self) -> float:
        """Return the binomial standard error in points, after Agresti and Coull: a share of 0 has one too."""
        likely = (self.percent / 100 * self.rows + 2) / (self.rows + 4)
        return 100 * math.sqrt(likely * (1 - likely) / (self.rows + 4))


def usual(history: Sequence[float], *, tolerance: float) -> Usual | None:
    """Return the bounds that a history, oldest value first, sets for the next value; None if it is short.

    `tolerance` is the least departure that counts, in the value's unit.
    """
    values = history[-WINDOW:]
    if len(values) < ENOUGH:
        return None
    departures = [
        value - median(values[max(0, place - RECENT) : place])
        for place, value in enumerate(values)
        if place >= _BEFORE_FIRST
    ]
    drift = _drift(departures)
    half = max(WIDTH * _deviation(departures, drift), tolerance)
    middle = median(values[-RECENT:])
    return Usual(middle + drift - half, middle + drift + half, middle, len(values))


def usual_count(history: Sequence[float], *, tolerance_percent: float) -> Usual | None:
    """Return the bounds for a count, whose departures are taken as ratios: twice as many, half as many.

    A drop by `tolerance_percent`, and the rise that would undo it, always count as usual. Nothing at all
    is never usual where it never happened, and the count is not a small one.
    """
    bounds = usual([math.log1p(value) for value in history], tolerance=-math.log1p(-tolerance_percent / 100))
    if bounds is None:
        return None
    low, high, middle = (math.expm1(bound) for bound in (bounds.low, bounds.high, bounds.middle))
    least = 1.0 if middle >= FEW and min(history[-WINDOW:]) > 0 else 0.0
    # Whole numbers, so that a bound is what it is written as; the fraction is what logarithms may lose.
    return Usual(max(math.ceil(low - 1e-6), least), math.floor(high + 1e-6), middle, bounds.runs)


def usual_share(history: Sequence[Share], *, tolerance_points: float) -> Usual | None:
    """Return the bounds in percent for a share of a whole table, which moves little from run to run."""
    bounds = usual([share.percent for share in history], tolerance=tolerance_points)
    return bounds and _within_percent(bounds)


def usual_sample(history: Sequence[Share], rows: int, *, tolerance_points: float) -> Usual | None:
    """Return the bounds in percent for a share of other rows every time: here of `rows` that one run changed.

    Such a share departs from its median by chance, the more the fewer the rows. That chance is known; the
    history says by how much shares depart further than it explains.
    """
    shares = history[-WINDOW:]
    if len(shares) < ENOUGH:
        return None
    middle = median(share.percent for share in shares)
    errors = [Share(middle, share.rows).error for share in shares]
    departures = [(share.percent - middle) / error for share, error in zip(shares, errors, strict=True)]
    # The median itself is known no better than this.
    doubt = _MEDIAN_ERROR * median(errors) / math.sqrt(len(errors))
    error = math.hypot(Share(middle, rows).error, doubt)
    half = max(CHANCE * max(1.0, _deviation(departures, 0.0)) * error, tolerance_points)
    return _within_percent(Usual(middle - half, middle + half, middle, len(shares)))


def _drift(departures: Sequence[float]) -> float:
    """Return by how much values usually depart to one side, as in growth; 0 where they go to and fro."""
    drift = median(departures)
    same_side = sum(departure * drift > 0 for departure in departures)
    return drift if same_side >= len(departures) * 3 / 4 else 0.0


def _deviation(values: Sequence[float], middle: float) -> float:
    """Return the MAD, scaled to the standard deviation that normal values with this MAD have."""
    return 1.4826 * median(abs(value - middle) for value in values)


def _within_percent(bounds: Usual) -> Usual:
    return Usual(max(bounds.low, 0.0), min(bounds.high, 100.0), bounds.middle, bounds.runs)
