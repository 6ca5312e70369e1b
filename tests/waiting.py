"""Wait for conditions, and see which processes there are."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

Value = TypeVar("Value")


def until(condition: Callable[[], Value], seconds: float = 60, pause: float = 0.02) -> Value:
    """Return the condition's value as soon as it is true; fail when it does not become so."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(pause)
    return value


def until_there(path: Path) -> None:
    """Wait for a file."""
    until(path.exists)


def family(pid: int) -> list[psutil.Process]:
    """Return a process and everything that it started, by and by."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def left_of(processes: list[psutil.Process], seconds: float = 5) -> list[psutil.Process]:
    """Return those that still live after so many seconds; a zombie that nobody has buried does not."""
    deadline = time.monotonic() + seconds
    while (alive := list(filter(_lives, processes))) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
