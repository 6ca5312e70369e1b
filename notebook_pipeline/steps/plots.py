"""Plots of rows: each illustrates a sentence, and can be read without colour."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.declare.column_types import has_days
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.number_texts import counted

# Distinguishable with any colour vision (Okabe and Ito); shapes and hatches repeat the information.
BLUE, VERMILION, GREY, PALE = "#0072B2", "#D55E00", "#6B6B6B", "#DDDDDD"


@dataclass(frozen=True)
class Picture:
    """A figure and the sentence that it illustrates, which is also its alternative text."""

    sentence: str
    figure: Figure

    def __repr__(self) -> str:
        return self.sentence

    def _repr_png_(self) -> tuple[bytes, dict[str, str]]:
        image = io.BytesIO()
        self.figure.savefig(image, format="png", dpi=100, metadata={"Software": None})
        return image.getvalue(), {"alt": self.sentence}


def rows_per_day(rows: pa.Table | pa.RecordBatch, dataset: Dataset) -> Picture:
    """Draw how many of the given rows last changed on each day, if the cursor says on which."""
    if not _has_days(dataset):
        return empty(_no_days(dataset))
    days = _days_of(rows[dataset.declared_cursor()])
    if not len(days):
        those = f"{dataset.name} rows with a day" if rows.num_rows else f"{dataset.name} rows"
        return empty(f"There are no {those} to look at")
    counts = pc.value_counts(days)
    calendar = [date.fromisoformat(day) for day in counts.field("values").to_pylist()]
    newest, middle = max(calendar), sorted(days.to_pylist())[len(days) // 2]
    sentence = (
        f"The newest of these {len(days):,} rows changed on {newest}, half of them on or after {middle}"
    )
    return _days(sentence, calendar, counts.field("counts").to_pylist(), dataset)


def changes_per_day(rows: Mapping[date, int], dataset: Dataset) -> Picture:
    """Draw how many rows last changed on each of the given days, oldest first."""
    if not _has_days(dataset):
        return empty(_no_days(dataset))
    changed = [day for day, count in rows.items() if count]
    if changed:
        found = f"Changes came in on {len(changed)} of the last {counted(len(rows), 'day')}"
        sentence = f"{found}, the newest on {changed[-1]}"
    else:
        sentence = f"No row changed in the last {counted(len(rows), 'day')}, up to {max(rows)}"
    return _days(sentence, list(rows), list(rows.values()), dataset)


def bars(values: Mapping[str, float], sentence: str, *, label: str, form: str = "{:,.0f}") -> Picture:
    """Draw one horizontal bar for each named value, with the value beside it; `label` is the axis label."""
    figure, [axes] = new_figure(sentence, height=0.9 + 0.36 * len(values))
    drawn = axes.barh(list(values), list(values.values()), color=BLUE)
    axes.bar_label(drawn, [form.format(value) for value in values.values()], padding=4)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, *values.values()) * 1.15)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axes.set_xlabel(label)
    axes.grid(axis="y", visible=False)
    return Picture(sentence, figure)


def new_figure(sentence: str, *, height: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a white figure with a sentence as its title and panels one below the other."""
    title = textwrap.fill(sentence, 78)
    figure = Figure(figsize=(8.4, height + 0.22 * title.count("\n")), facecolor="white", layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    found = list(figure.subplots(panels, 1, squeeze=False)[:, 0])
    for axes in found:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, found


def empty(sentence: str) -> Picture:
    """Return a picture that says why there is nothing to draw."""
    figure, [axes] = new_figure(sentence, height=1.0)
    axes.set_axis_off()
    axes.text(0.01, 0.5, "No data to plot.", transform=axes.transAxes, color=GREY, va="center")
    return Picture(sentence, figure)


def _has_days(dataset: Dataset) -> bool:
    return bool(dataset.cursor) and has_days(dataset.column(dataset.declared_cursor()).type)


def _no_days(dataset: Dataset) -> str:
    if not dataset.cursor:
        return f"The rows of {dataset.name} have no cursor, so nothing says when they changed"
    return f"The cursor of {dataset.name} is a number, so it does not say on which day a row changed"


def _days_of(cursors: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return the days of cursors as ISO text: moments are in UTC."""
    known = pc.drop_null(cursors)
    return pc.strftime(known, "%Y-%m-%d") if pa.types.is_timestamp(known.type) else known


def _days(sentence: str, calendar: Sequence[date], counts: Sequence[int], dataset: Dataset) -> Picture:
    figure, [axes] = new_figure(sentence, height=3.0)
    # Draw all bars as one polygon: a few hundred separate bars take half a second.
    middles, heights = np.array(sorted(zip(date2num(calendar), counts, strict=True))).T
    edges = np.add.outer(middles, [-0.45, -0.45, 0.45, 0.45])
    axes.fill_between(edges.ravel(), np.outer(heights, [0, 1, 1, 0]).ravel(), color=BLUE, linewidth=0)
    # Margins must stay within the calendar: some sources write 0001-01-01 for "never".
    axes.set_xlim(*np.clip(axes.get_xlim(), *date2num([date.min, date.max])).tolist())
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=6))
    axes.xaxis.set_major_formatter(DateFormatter("%Y-%m-%d"))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"{dataset.cursor} (day)")
    axes.set_ylabel(f"{dataset.name} rows")
    axes.grid(axis="x", visible=False)
    return Picture(sentence, figure)
