"""In a terminal the bar stays in its place; elsewhere every line is a line."""

import errno
import io

import pytest

from notebook_pipeline.commands.run_output import Terminal
from notebook_pipeline.running.run_lines import ProgressLine

CLEAR = "\r\x1b[2K"


class Screen(io.StringIO):
    """Stand for a terminal."""

    def isatty(self) -> bool:
        return True


def progress(text: str, share: float | None) -> ProgressLine:
    line = ProgressLine(f"    {text}")
    line.share = share
    return line


class Gone(io.StringIO):
    """Stand for a terminal that was closed, or a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "gone")


def test_that_nobody_can_read_it_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(Gone())
    terminal.say("one")
    terminal.say("two")
    monkeypatch.setattr("sys.stderr", None)
    Terminal().say("three")


def test_a_bar_is_replaced_by_the_next_one_and_gives_way_to_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    screen = Screen()
    terminal = Terminal(screen)
    for line in (
        "one",
        progress("0 rows", 0),
        progress("5 rows", 0.5),
        progress("9 pages", None),
        "two",
        "three",
    ):
        terminal.say(line)
    empty, half = "░" * 24, "█" * 12 + "░" * 12
    assert screen.getvalue() == (
        f"one\n    {empty} 0 rows{CLEAR}    {half} 5 rows{CLEAR}    9 pages{CLEAR}two\nthree\n"
    )


def test_a_bar_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen = Screen()
    Terminal(screen).say(progress("x" * 100, 1))
    assert screen.getvalue() == "    " + "█" * 24 + " " + "x" * 10


def test_a_file_gets_lines() -> None:
    file = io.StringIO()
    terminal = Terminal(file)
    terminal.say(progress("5 rows", 0.5))
    terminal.say("two")
    assert file.getvalue() == "    5 rows\ntwo\n"


def test_a_reader_that_went_away_stops_nothing() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    terminal = Terminal(Closed())
    terminal.say("one")
    terminal.say("two")
