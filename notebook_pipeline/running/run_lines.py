"""The lines that report a running notebook: one for each finished cell, and its output as it is printed."""

import re
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from notebook_pipeline.number_texts import counted, in_seconds

# So many lines of a cell go to the terminal or the log; the artefact has them all.
MOST_LINES = 2_000

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

    def __init__(self, say: Say, total: int, progress_seconds: float = 5) -> None:
        self._say = say
        self._total = total
        self._progress_seconds = progress_seconds
        self._done = 0
        self._lines = 0
        self._begun: dict[str, str] = defaultdict(str)
        self._progressed = time.monotonic()

    def printed(self, stream: str, text: str) -> None:
        """Add a piece of a stream and report the lines that are complete."""
        *lines, self._begun[stream] = (self._begun[stream] + text).split("\n")
        for line in lines:
            self._print(line)

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
        self.flush()
        if self._lines > MOST_LINES:
            self._say(f"    … {counted(self._lines - MOST_LINES, 'more line')}, see the executed notebook")
        self._lines = 0
        self._done += 1
        self._progressed = time.monotonic()
        ended = "failed after" if failed else "done in"
        self._say(f"[{self._done}/{self._total}] {title}: {ended} {in_seconds(seconds)} s")

    def noted(self, line: str) -> None:
        """Report what the runner has to say of a cell's outputs."""
        self.flush()
        self._say_line(line)

    def flush(self) -> None:
        """Report the lines that have begun; what follows starts a new one."""
        for stream in list(self._begun):
            if begun := self._begun.pop(stream):
                self._print(begun)

    def _print(self, line: str) -> None:
        """Report a line that a cell has printed, unless it has printed too many."""
        self._lines += 1
        if self._lines <= MOST_LINES:
            self._say_line(line)

    def _say_line(self, line: str) -> None:
        # Of a progress bar that redraws itself only the last state is kept; colours are removed.
        plain = _ANSI.sub("", line.rstrip("\r").rpartition("\r")[2])
        self._say(f"    {plain}")


def _share(state: Any) -> float | None:
    try:
        return min(max(state["done"] / state["total"], 0), 1)
    except (KeyError, TypeError, ZeroDivisionError):
        return None
