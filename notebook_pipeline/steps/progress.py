"""The progress of a long step, shown as one line that changes in place."""

import html
import time
from collections.abc import Callable

from IPython.core.getipython import get_ipython
from IPython.display import display

from notebook_pipeline.number_texts import counted
from notebook_pipeline.running.mime_types import PROGRESS

SECONDS_BETWEEN = 1.0


class Progress:
    """The number of rows done; in a notebook a display that is updated in place, elsewhere not shown.

    The runner turns the same messages into a bar in a terminal and lines in a task log. The last state
    contains no time, so that a saved notebook is the same for the same work.
    """

    def __init__(
        self, unit: str, total: int | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._unit = unit
        self._total = total
        self._is_estimate = total is None
        self._clock = clock
        self._began = self._shown = clock()
        self._done = self._pages = 0
        self._handle = (
            display(self._bundle(self._end()), raw=True, display_id=True) if get_ipython() else None
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, count: int, share: float | None = None) -> None:
        """Add `count` to the number done; `share` is the fraction of the whole done so far, if known."""
        done = self._done + count
        self.reach(done, round(done / share) if self._is_estimate and share else self._total)

    def reach(self, done: int, total: int | None, pages: int = 0) -> None:
        """Set the number done, the total, if known, and the number of pages, if there are any."""
        self._done, self._total, self._pages = done, total, pages
        if self._clock() - self._shown >= SECONDS_BETWEEN:
            self._shown = self._clock()
            self._show(self._line())

    def close(self) -> None:
        """Show the last state."""
        if self._is_estimate:
            self._total = None
        self._show(self._end())

    def _end(self) -> str:
        pages = f" in {counted(self._pages, 'page')}" if self._pages else ""
        return f"{self._done:,} {self._unit}{pages}"

    def _line(self) -> str:
        speed = self._done / max(self._clock() - self._began, 1e-9)
        line = f"{self._end()}, {speed:,.0f} {self._unit}/s"
        if not self._total:
            return line
        left = max(self._total - self._done, 0) / max(speed, 1e-9)
        return f"{line}, {min(self._done / self._total, 1):.0%}, {left:,.0f} s left"

    def _show(self, line: str) -> None:
        if self._handle:
            self._handle.update(self._bundle(line), raw=True)

    def _bundle(self, line: str) -> dict[str, object]:
        state = {"done": self._done, "total": self._total, "unit": self._unit}
        bundle: dict[str, object] = {"text/plain": line, PROGRESS: state}
        if line != self._end():
            known = f' max="{self._total}" value="{self._done}"' if self._total else ""
            bundle["text/html"] = f"<progress{known}></progress> {html.escape(line)}"
        return bundle
