"""Turn what happens in a run into lines for whoever watches: one a cell, its prints as they come."""

import re
import time
from collections import defaultdict
from collections.abc import Callable

SECONDS_BETWEEN_PROGRESS = 5.0

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

Say = Callable[[str], None]


class Reporter:
    """Say one line for each finished cell, and what it prints line by line; `total` counts code cells."""

    def __init__(self, say: Say, total: int) -> None:
        self._say = say
        self._total = total
        self._done = 0
        self._begun: dict[str, str] = defaultdict(str)
        self._progressed = time.monotonic()

    def printed(self, stream: str, text: str) -> None:
        """Take a piece of a stream and say the lines that are complete."""
        *lines, self._begun[stream] = (self._begun[stream] + text).split("\n")
        for line in lines:
            self._say_line(line)

    def progressed(self, text: str) -> None:
        """Say how far a long step is, now and then."""
        if time.monotonic() - self._progressed >= SECONDS_BETWEEN_PROGRESS:
            self._progressed = time.monotonic()
            self._say_line(text)

    def raised(self, traceback: list[str]) -> None:
        """Say the traceback of an error."""
        for line in "\n".join(traceback).splitlines():
            self._say_line(line)

    def cell_done(self, title: str, seconds: float, *, failed: bool) -> None:
        """Say that a code cell is finished, and how long it took."""
        for stream in list(self._begun):
            self._say_line(self._begun.pop(stream), even_if_empty=False)
        self._done += 1
        ended = "failed after" if failed else "done in"
        self._say(f"[{self._done}/{self._total}] {title}: {ended} {seconds:.1f} s")

    def _say_line(self, line: str, *, even_if_empty: bool = True) -> None:
        # A bar that redraws itself is its last state; colours mean nothing in a log.
        plain = _ANSI.sub("", line.rstrip("\r").rpartition("\r")[2])
        if plain or even_if_empty:
            self._say(f"    {plain}")
