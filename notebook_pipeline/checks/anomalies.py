"""The usual range of a number that every run measures, from its history: median and MAD.

A value is compared with the median of the last few runs, so that growth is not an anomaly. The usual
deviation from that median is the median absolute deviation (MAD) over a longer history, which a few
outliers do not move. If the MAD is smaller than the tolerance declared with the check, the tolerance is
used instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

WINDOW = 30
"""The number of earlier runs taken into account."""
RECENT = 5
"""The number of them from which the expected value is computed."""
ENOUGH = 10
"""The number of earlier runs below which there are no bounds."""
WIDTH = 6.0
"""The number of robust standard deviations that are still usual."""
FEW = 10
"""A count that is usually below this may be 0 by chance."""
CHANCE = 4.5
"""The number of standard errors of a share over a few rows that are still usual."""

_MEDIAN_ERROR = 1.2533
"""The standard error of a median divided by that of a mean, for normal values."""
_BEFORE_FIRST = 3
"""The least number of earlier values from whose median a deviation is measured."""


@dataclass(frozen=True)
class Usual:
    """The bounds of usual values, the median of the last runs, and the number of runs they come from."""

    low: float
    high: float
    middle: float
    runs: int


@dataclass(frozen=True)
class Share:
    """A share in percent, and the number of rows over which it was counted."""

    percent: float
    rows: int

    @property
    def error(self) -> float:
        """Return the binomial standard error in points, after Agresti and Coull; it is never 0."""
        likely = (self.percent / 100 * self.rows + 2) / (self.rows + 4)
        return 100 * math.sqrt(likely * (1 - likely) / (self.rows + 4))


def usual(history: Sequence[float], *, tolerance: float) -> Usual | None:
    """Return the bounds for the value after a history, oldest first; None if the history is too short.

    `tolerance` is the deviation, in the value's unit, that is always usual.
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
    """Return the bounds for a count, whose deviations are ratios, such as twice as many or half as many.

    A drop by `tolerance_percent`, and the rise that would undo it, are always usual. A count of 0 is not
    usual if it has never occurred and the count is not usually small (see FEW).
    """
    bounds = usual([math.log1p(value) for value in history], tolerance=-math.log1p(-tolerance_percent / 100))
    if bounds is None:
        return None
    low, high, middle = (math.expm1(bound) for bound in (bounds.low, bounds.high, bounds.middle))
    least = 1.0 if middle >= FEW and min(history[-WINDOW:]) > 0 else 0.0
    # Rounded to integers, as bounds are shown; 1e-6 makes up for rounding errors of the logarithms.
    return Usual(max(math.ceil(low - 1e-6), least), math.floor(high + 1e-6), middle, bounds.runs)


def usual_share(history: Sequence[Share], *, tolerance_points: float) -> Usual | None:
    """Return the bounds in percent for a share of a whole table, which changes little between runs."""
    bounds = usual([share.percent for share in history], tolerance=tolerance_points)
    return bounds and _within_percent(bounds)


def usual_sample(history: Sequence[Share], rows: int, *, tolerance_points: float) -> Usual | None:
    """Return the bounds in percent for a share of the `rows` that one run changed.

    Each run changes different rows, so the share deviates from its median by chance, more so the fewer the
    rows. That part is computed; the history shows how much larger the deviations really are.
    """
    shares = history[-WINDOW:]
    if len(shares) < ENOUGH:
        return None
    middle = median(share.percent for share in shares)
    errors = [Share(middle, share.rows).error for share in shares]
    departures = [(share.percent - middle) / error for share, error in zip(shares, errors, strict=True)]
    # The standard error of the median itself.
    doubt = _MEDIAN_ERROR * median(errors) / math.sqrt(len(errors))
    error = math.hypot(Share(middle, rows).error, doubt)
    half = max(CHANCE * max(1.0, _deviation(departures, 0.0)) * error, tolerance_points)
    return _within_percent(Usual(middle - half, middle + half, middle, len(shares)))


def _drift(departures: Sequence[float]) -> float:
    """Return the median deviation if most are to one side, as in growth, else 0."""
    drift = median(departures)
    same_side = sum(departure * drift > 0 for departure in departures)
    return drift if same_side >= len(departures) * 3 / 4 else 0.0


def _deviation(values: Sequence[float], middle: float) -> float:
    """Return the MAD, scaled to the standard deviation of normal values with this MAD."""
    return 1.4826 * median(abs(value - middle) for value in values)


def _within_percent(bounds: Usual) -> Usual:
    return Usual(max(bounds.low, 0.0), min(bounds.high, 100.0), bounds.middle, bounds.runs)
