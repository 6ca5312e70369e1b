"""The lines that report a running notebook: one for each finished cell, and its output as it is printed."""

import re
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

SECONDS_BETWEEN_PROGRESS = 5.0

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

Say = Callable[[str], None]


class ProgressLine(str):
    """A line on the progress of a long step, which a terminal may replace by the next one.

    `share` is the fraction that is done, between 0 and 1, or None if the total is unknown.
    """

    share: float | None = None


class Reporter:
    """A reporter of finished cells and of what they print, line by line.

    `total` is the number of code cells; progress is reported every `progress_seconds`.
    """

    def __init__(self, say: Say, total: int, progress_seconds: float = SECONDS_BETWEEN_PROGRESS) -> None:
        self._say = say
        self._total = total
        self._progress_seconds = progress_seconds
        self._done = 0
        self._begun: dict[str, str] = defaultdict(str)
        self._progressed = time.monotonic()

    def printed(self, stream: str, text: str) -> None:
        """Add a piece of a stream and report the lines that are complete."""
        *lines, self._begun[stream] = (self._begun[stream] + text).split("\n")
        for line in lines:
            self._say_line(line)

    def progressed(self, text: str, state: Any) -> None:
        """Report the progress of a step, at intervals; `state` holds `done` and, if known, `total`."""
        if time.monotonic() - self._progressed >= self._progress_seconds:
            self._progressed = time.monotonic()
            line = ProgressLine(f"    {text}")
            line.share = _share(state)
            self._say(line)

    def raised(self, traceback: list[str]) -> None:
        """Report the traceback of an error."""
        for line in "\n".join(traceback).splitlines():
            self._say_line(line)

    def cell_done(self, title: str, seconds: float, *, failed: bool) -> None:
        """Report that a code cell is finished, and how long it took."""
        for stream in list(self._begun):
            self._say_line(self._begun.pop(stream), even_if_empty=False)
        self._done += 1
        self._progressed = time.monotonic()
        ended = "failed after" if failed else "done in"
        self._say(f"[{self._done}/{self._total}] {title}: {ended} {seconds:.1f} s")

    def _say_line(self, line: str, *, even_if_empty: bool = True) -> None:
        # Of a progress bar that redraws itself only the last state is kept; colours are removed.
        plain = _ANSI.sub("", line.rstrip("\r").rpartition("\r")[2])
        if plain or even_if_empty:
            self._say(f"    {plain}")


def _share(state: Any) -> float | None:
    try:
        return min(max(state["done"] / state["total"], 0), 1)
    except (KeyError, TypeError, ZeroDivisionError):
        return None
