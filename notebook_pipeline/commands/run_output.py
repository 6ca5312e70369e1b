"""A run's progress on standard error; in a terminal, a progress bar is redrawn in place."""

import os
import shutil
import sys
from typing import TextIO

from notebook_pipeline.running.run_lines import ProgressLine

_BAR = 24
_CLEAR_LINE = "\r\x1b[2K"


class Terminal:
    """Standard error as a run's output; the run goes on if it is closed."""

    def __init__(self, stream: TextIO | None = None) -> None:
        # sys.stderr is None in a program that is started without it.
        self._stream = stream or sys.stderr or open(os.devnull, "w")  # noqa: SIM115
        self.is_live = self._stream.isatty()
        self._bar_is_shown = False

    def say(self, line: str) -> None:
        """Print one line; it replaces the progress bar if one is shown."""
        clear = _CLEAR_LINE if self._bar_is_shown else ""
        self._bar_is_shown = self.is_live and isinstance(line, ProgressLine)
        try:
            self._stream.write(clear + (_bar(line) if self._bar_is_shown else f"{line}\n"))
            self._stream.flush()
        except OSError:  # a closed pipe or terminal, a full disk
            self._stream = open(os.devnull, "w")  # noqa: SIM115


def _bar(line: str) -> str:
    share = line.share if isinstance(line, ProgressLine) else None
    bar = "" if share is None else "█" * round(share * _BAR) + "░" * (_BAR - round(share * _BAR)) + " "
    # A wrapped line could not be cleared.
    return f"    {bar}{line.strip()}"[: shutil.get_terminal_size().columns - 1]
