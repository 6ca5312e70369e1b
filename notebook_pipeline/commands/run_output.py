"""Tell a run's lines on standard error; in a terminal a long step is a bar that stays in its place."""

import os
import shutil
import sys
from typing import TextIO

from notebook_pipeline.running.run_lines import ProgressLine

_BAR = 24
_CLEAR_LINE = "\r\x1b[2K"


class Terminal:
    """Say lines as they come; that nobody reads them any more is no reason to stop a run."""

    def __init__(self, stream: TextIO | None = None) -> None:
        # A program that is started without a standard error has None for it.
        self._stream = stream or sys.stderr or open(os.devnull, "w")  # noqa: SIM115
        self.is_live = self._stream.isatty()
        self._bar_is_shown = False

    def say(self, line: str) -> None:
        """Say one line, in place of the bar if that is where the cursor is."""
        clear = _CLEAR_LINE if self._bar_is_shown else ""
        self._bar_is_shown = self.is_live and isinstance(line, ProgressLine)
        try:
            self._stream.write(clear + (_bar(line) if self._bar_is_shown else f"{line}\n"))
            self._stream.flush()
        except OSError:  # a closed pipe, a terminal that is gone, a full disk
            self._stream = open(os.devnull, "w")  # noqa: SIM115


def _bar(line: str) -> str:
    share = line.share if isinstance(line, ProgressLine) else None
    bar = "" if share is None else "█" * round(share * _BAR) + "░" * (_BAR - round(share * _BAR)) + " "
    # A line that wraps could not be cleared.
    return f"    {bar}{line.strip()}"[: shutil.get_terminal_size().columns - 1]
