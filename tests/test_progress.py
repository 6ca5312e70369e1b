"""How far a long step is: lines while it lasts, and a last state that is the same for the same work."""

from contextlib import suppress
from typing import Any

import pytest

from notebook_pipeline.running.mime_types import PROGRESS
from notebook_pipeline.steps import progress
from notebook_pipeline.steps.progress import Progress


class Screen:
    """Take what is displayed, and tell the time."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, Any]] = []
        self.now = 100.0

    def display(self, bundle: dict[str, Any], *, raw: bool, display_id: bool) -> "Screen":
        assert raw
        assert display_id
        self.bundles.append(bundle)
        return self

    def update(self, bundle: dict[str, Any], *, raw: bool) -> None:
        assert raw
        self.bundles.append(bundle)

    @property
    def lines(self) -> list[str]:
        return [bundle["text/plain"] for bundle in self.bundles]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setattr(progress, "display", screen.display)
    monkeypatch.setattr(progress, "get_ipython", lambda: screen)
    return screen


def worked(screen: Screen, total: int | None, *steps: tuple[int, float | None]) -> list[str]:
    with Progress("rows", total, clock=lambda: screen.now) as shown:
        for count, share in steps:
            screen.now += 2
            shown.advance(count, share)
    return screen.lines


def test_a_line_tells_rows_speed_share_and_time_left(screen: Screen) -> None:
    assert worked(screen, 10_000, (2_500, None), (2_500, None), (5_000, None)) == [
        "0 rows",
        "2,500 rows, 1,250 rows/s, 25%, 6 s left",
        "5,000 rows, 1,250 rows/s, 50%, 4 s left",
        "10,000 rows, 1,667 rows/s, 100%, 0 s left",
        "10,000 rows",
    ]
    assert screen.bundles[1]["text/html"].startswith(
        '<progress max="10000" value="2500"></progress> 2,500 rows,'
    )
    assert screen.bundles[1][PROGRESS] == {"done": 2500, "total": 10000, "unit": "rows"}


def test_where_only_the_share_is_known_the_total_is_estimated(screen: Screen) -> None:
    assert worked(screen, None, (1_000, 0.1), (1_000, 0.25)) == [
        "0 rows",
        "1,000 rows, 500 rows/s, 10%, 18 s left",
        "2,000 rows, 500 rows/s, 25%, 12 s left",
        "2,000 rows",
    ]
    assert screen.bundles[-1] == {
        "text/plain": "2,000 rows",
        PROGRESS: {"done": 2000, "total": None, "unit": "rows"},
    }


def test_where_nothing_is_known_rows_and_speed_are_told(screen: Screen) -> None:
    assert worked(screen, None, (1_000, None)) == ["0 rows", "1,000 rows, 500 rows/s", "1,000 rows"]
    assert screen.bundles[1]["text/html"] == "<progress></progress> 1,000 rows, 500 rows/s"


def test_the_last_state_holds_no_time_also_after_a_failure(screen: Screen) -> None:
    with suppress(RuntimeError), Progress("pages", 9, clock=lambda: screen.now) as shown:
        screen.now += 60
        shown.reach(3, 9)
        raise RuntimeError
    assert screen.bundles[-1] == {"text/plain": "3 pages", PROGRESS: {"done": 3, "total": 9, "unit": "pages"}}


def test_pages_are_told_beside_rows(screen: Screen) -> None:
    with Progress("rows", clock=lambda: screen.now) as shown:
        for rows, pages in ((1_000, 1), (4_000, 4)):
            screen.now += 2
            shown.reach(rows, 8_000, pages)
    assert screen.lines[1:] == [
        "1,000 rows in 1 page, 500 rows/s, 12%, 14 s left",
        "4,000 rows in 4 pages, 1,000 rows/s, 50%, 4 s left",
        "4,000 rows in 4 pages",
    ]


def test_many_small_steps_are_shown_once_a_second(screen: Screen) -> None:
    with Progress("rows", 1000, clock=lambda: screen.now) as shown:
        for _ in range(1000):
            screen.now += 0.01
            shown.advance(1)
    assert 10 <= len(screen.lines) <= 13


def test_without_a_notebook_nothing_is_shown(capsys: pytest.CaptureFixture) -> None:
    with Progress("rows", 10) as shown:
        shown.advance(10)
    assert capsys.readouterr() == ("", "")
