"""Small charts as inline SVG: no script, no file, legible in light mode, dark mode and print."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from notebook_pipeline.review.html import render

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 640, 190, 70, 30, 40


@dataclass(frozen=True)
class Point:
    """One measured value, its time, and its class in the style sheet."""

    when: str
    value: float
    kind: str = ""


def line_chart(title: str, axes: str, points: Sequence[Point]) -> Markup:
    """Return a line chart with one step per point; `axes` names both axes with their units."""
    scale = _Scale(points, bottom=min([point.value for point in points], default=0))
    dots = [
        {"x": scale.x(index), "y": scale.y(point.value), "text": f"{point.when}: {point.value:,.0f}"}
        for index, point in enumerate(points)
    ]
    line = " ".join(f"{dot['x']},{dot['y']}" for dot in dots)
    return _drawn(title, axes, points, scale, line=line, dots=dots if len(dots) <= 60 else [])


def bar_chart(title: str, axes: str, points: Sequence[Point]) -> Markup:
    """Return a bar chart with one bar per point; `axes` names both axes with their units."""
    scale = _Scale(points)
    width = max(round(0.8 * scale.step, 1), 1)
    bars = [
        {
            "x": round(scale.x(index) - width / 2, 1),
            "y": scale.y(point.value),
            "width": width,
            "height": round(scale.y(0) - scale.y(point.value), 1),
            "kind": point.kind,
            "text": f"{point.when}: {point.value:,.1f}",
        }
        for index, point in enumerate(points)
    ]
    return _drawn(title, axes, points, scale, bars=bars)


class _Scale:
    """The coordinates of points: x from the left edge, y from `bottom` to the largest value."""

    def __init__(self, points: Sequence[Point], bottom: float = 0) -> None:
        largest = max([point.value for point in points], default=0)
        # If all values are equal, the scale starts at zero.
        self.bottom = bottom if bottom < largest else min(0, bottom)
        self.top = largest if largest > self.bottom else self.bottom + 1
        self.step = (_WIDTH - _LEFT - 20) / max(len(points), 1)

    def x(self, index: int) -> float:
        return round(_LEFT + 10 + self.step * (index + 0.5), 1)

    def y(self, value: float) -> float:
        share = (value - self.bottom) / (self.top - self.bottom)
        return round(_HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * share, 1)


def _drawn(title: str, axes: str, points: Sequence[Point], scale: _Scale, **marks: Any) -> Markup:
    ticks = [{"y": scale.y(value), "label": _number(value)} for value in (scale.bottom, scale.top)]
    ends = sorted({0, len(points) - 1}) if points else []
    labels = [
        {"x": scale.x(index), "text": points[index].when, "anchor": "start" if index == 0 else "end"}
        for index in ends
    ]
    values = {"line": "", "dots": [], "bars": [], **marks}
    size = {"width": _WIDTH, "height": _HEIGHT, "left": _LEFT}
    svg = render("chart.svg", title=title, axes=axes, ticks=ticks, labels=labels, **size, **values)
    return Markup(svg)  # noqa: S704


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:,.1f}"
