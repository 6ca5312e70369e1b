"""Plots of what a run's checks measured, beside the values of earlier runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from notebook_pipeline.checks.anomalies import ENOUGH, RECENT, WINDOW, Share, Usual
from notebook_pipeline.checks.history_checks import count_bounds, share_bounds
from notebook_pipeline.checks.measured_history import NULL, shares_of
from notebook_pipeline.checks.results import Report
from notebook_pipeline.declare.rules_and_checks import UsualChanges, UsualMix, UsualNulls, UsualRowCount
from notebook_pipeline.number_texts import counted, percentage
from notebook_pipeline.steps.plots import BLUE, GREY, PALE, VERMILION, Picture, bars, empty, new_figure

_KEY = (
    Line2D([], [], color=BLUE, marker="o", markersize=4, label="measured"),
    Line2D(
        [], [], color=BLUE, marker="o", markersize=7, markeredgecolor="black", linestyle="", label="this run"
    ),
    Line2D([], [], color=VERMILION, marker="X", markersize=8, linestyle="", label="out of bounds"),
    Patch(color=PALE, label="usual range, from earlier runs"),
)


@dataclass(frozen=True)
class Series:
    """One measured value over the runs, this run last, with the bounds of each run; None is no bound."""

    title: str
    unit: str
    values: Sequence[float]
    bounds: Sequence[tuple[float | None, float | None]]

    def is_out(self, place: int) -> bool:
        """Return True if the value at a position is out of its bounds."""
        value, (low, high) = self.values[place], self.bounds[place]
        return (low is not None and value < low) or (high is not None and value > high)


def measured_over_runs(report: Report) -> Picture:
    """Plot each number that has a history: its values over the runs, and the bounds of each run."""
    all_series = _all_series(report)
    if not all_series:
        return empty(f"{report.dataset.name} has no value to compare between runs")
    sentence = _verdict(all_series)
    figure, panels = new_figure(sentence, height=0.6 + 1.9 * len(all_series), panels=len(all_series))
    for axes, series in zip(panels, all_series, strict=True):
        _draw(axes, series)
    panels[-1].set_xlabel("runs (0 is this one)")
    figure.legend(handles=_KEY, loc="outside lower left", ncols=len(_KEY), frameon=False)
    return Picture(sentence, figure)


def nulls_per_column(report: Report) -> Picture:
    """Plot the share of nulls in each column."""
    if not report.rows:
        return empty("There are no rows to check")
    shares = {column: 100 * count / report.rows for column, count in report.nulls.items()}
    most = max(shares, key=lambda column: shares[column])
    full = sum(not share for share in shares.values())
    rows = counted(report.rows, "row")
    sentence = f"None of the {counted(full, 'column')} has nulls in {rows}"
    if shares[most]:
        found = f"{most} has the most nulls: {percentage(shares[most])} of {rows}"
        sentence = f"{found}; {full} of {len(shares)} columns have none"
    return bars(shares, sentence, label="nulls (% of rows)", form="{:.2f} %")


def mixes(report: Report) -> Picture:
    """Plot the share of each value of a column in this run beside its median in the last runs."""
    now = _mixes_now(report)
    if not now:
        return empty(f"{report.dataset.name} has no mix of values to compare")
    before = {check: _before(report, check, shares) for check, shares in now.items()}
    sentence = "; ".join(_mix_sentence(check, shares, before[check]) for check, shares in now.items())
    figure, panels = new_figure(sentence, height=0.8 + 0.45 * max(map(len, now.values())), panels=len(now))
    for axes, (check, shares) in zip(panels, now.items(), strict=True):
        _draw_mix(axes, check, shares, before[check])
    return Picture(sentence, figure)


def _all_series(report: Report) -> list[Series]:
    found = []
    sides = {check.side for check in report.dataset.checks if isinstance(check, UsualRowCount)}
    for check in report.dataset.checks:
        match check:
            case UsualRowCount(side) if side == min(sides):  # checks of both sides share one series
                found.append(_count_series(report, check, "number of rows", sides))
            case UsualChanges():
                found.append(_count_series(report, check, check.name, {"drop"}))
            case UsualNulls():
                found.append(_share_series(report, check))
    return [series for series in found if series]


def _count_series(
    report: Report, check: UsualRowCount | UsualChanges, title: str, sides: set[str]
) -> Series | None:
    now = report.result(check.name).measured_number
    if now is None:
        return None
    values = [*report.history.numbers(check.name), now]
    shown = range(max(0, len(values) - 1 - WINDOW), len(values))
    bounds = [_sided(count_bounds(check, values[:place]), sides) for place in shown]
    return Series(title, "rows", values[shown.start :], bounds)


def _share_series(report: Report, check: UsualNulls) -> Series | None:
    now = report.result(check.name).measured_counts
    if now is None:
        return None
    values = [*report.history.shares(check.name, report.scope), shares_of(now)[NULL]]
    shown = range(max(0, len(values) - 1 - WINDOW), len(values))
    bounds = [
        _sided(share_bounds(check, values[:place], values[place].rows, report.scope), {"drop", "jump"})
        for place in shown
    ]
    return Series(check.name, "%", [values[place].percent for place in shown], bounds)


def _sided(bounds: Usual | None, sides: set[str]) -> tuple[float | None, float | None]:
    if bounds is None:
        return None, None
    return bounds.low if "drop" in sides else None, bounds.high if "jump" in sides else None


def _verdict(all_series: Sequence[Series]) -> str:
    bounded = [series for series in all_series if series.bounds[-1] != (None, None)]
    if not bounded:
        runs = max(len(series.values) for series in all_series) - 1
        return f"No bounds yet: they need {ENOUGH} earlier runs; {runs} so far"
    out = [series.title for series in bounded if series.is_out(-1)]
    if out:
        return f"This run is out of its bounds in: {', '.join(out)}"
    return f"This run is within its bounds in: {', '.join(series.title for series in bounded)}"


def _draw(axes: Axes, series: Series) -> None:
    places = range(1 - len(series.values), 1)
    axes.plot(places, series.values, color=BLUE, linewidth=1, zorder=2)
    for place, value in enumerate(series.values):
        out = series.is_out(place)
        axes.plot(
            places[place],
            value,
            marker="X" if out else "o",
            markersize=(10 if out else 7) if place == len(series.values) - 1 else (8 if out else 3.5),
            color=VERMILION if out else BLUE,
            markeredgecolor="black" if place == len(series.values) - 1 else "none",
            zorder=3,
        )
    axes.margins(y=0.2)
    axes.set_xlim(min(places[0], -ENOUGH) - 0.7, 0.7)
    _shade_usual(axes, places, series)
    axes.set_ylim(bottom=max(0, axes.get_ylim()[0]))
    axes.set_title(series.title, loc="left", fontsize=10)
    axes.set_ylabel(series.unit)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))


def _shade_usual(axes: Axes, places: range, series: Series) -> None:
    """Shade what was usual for each run; a side without a bound reaches to the edge of the panel."""
    bottom, top = axes.get_ylim()
    known = [place for place, pair in enumerate(series.bounds) if pair != (None, None)]
    lows = [bottom if (low := series.bounds[place][0]) is None else low for place in known]
    highs = [top if (high := series.bounds[place][1]) is None else high for place in known]
    axes.fill_between([places[place] for place in known], lows, highs, step="mid", color=PALE, zorder=1)


def _mixes_now(report: Report) -> dict[UsualMix, dict[str, float]]:
    checks = [check for check in report.dataset.checks if isinstance(check, UsualMix)]
    found = {check: report.result(check.name).measured_counts for check in checks}
    return {
        check: {name: share.percent for name, share in shares_of(counts).items()}
        for check, counts in found.items()
        if counts
    }


def _before(report: Report, check: UsualMix, now: Mapping[str, float]) -> dict[str, float]:
    """Return each share's median in the last runs, or {} if there were none."""
    last = report.history.mixes(check.name, report.scope)[-RECENT:]
    return (
        {name: median(mix.get(name, Share(0.0, 0)).percent for mix in last) for name in now} if last else {}
    )


def _mix_sentence(check: UsualMix, now: Mapping[str, float], before: Mapping[str, float]) -> str:
    if not before:
        return f"No earlier run to compare the mix of {check.column} with"
    moved = max(now, key=lambda name: abs(now[name] - before[name]))
    if f"{now[moved]:.2f}" == f"{before[moved]:.2f}":
        return f"The mix of {check.column} has not changed"
    change = f"from {before[moved]:.2f} to {percentage(now[moved])}"
    if abs(now[moved] - before[moved]) < check.tolerance_points:
        return f"The mix of {check.column} has hardly changed: {moved} most, {change}"
    return f"The mix of {check.column} has changed: {moved} most, {change}"


def _draw_mix(axes: Axes, check: UsualMix, now: Mapping[str, float], before: Mapping[str, float]) -> None:
    names = [name for name in now if now[name] or before.get(name)]
    rows = range(len(names))
    up = 0.2 if before else 0.0
    places = [row - up for row in rows]
    bars = axes.barh(places, [now[name] for name in names], 0.38, color=BLUE, label="this run")
    axes.bar_label(bars, [f"{now[name]:.1f} %" for name in names], padding=4)
    if before:
        _draw_before(axes, [row + up for row in rows], [before[name] for name in names])
    axes.set_yticks(list(rows), names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("share of rows (%)")
    axes.set_ylabel(check.column)
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right", frameon=False)


def _draw_before(axes: Axes, places: Sequence[float], shares: Sequence[float]) -> None:
    label = f"median of up to {RECENT} earlier runs"
    bars = axes.barh(places, shares, 0.38, color="white", edgecolor=GREY, hatch="////", label=label)
    axes.bar_label(bars, [f"{share:.1f} %" for share in shares], padding=4, color=GREY)
