"""Wait for conditions, see which processes there are, and have a port to oneself."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
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


def left_of(processes: list[psutil.Process], seconds: float = 60) -> list[psutil.Process]:
    """Return those that still live after so many seconds; a zombie that nobody has buried does not.

    Nothing may sleep so long by itself: processes under test sleep for ten minutes.
    """
    deadline = time.monotonic() + seconds
    while (alive := list(filter(_lives, processes))) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


_marks: list[socket.socket] = []


def own_port() -> int:
    """Return a free port of 127.0.0.1 that no other test is given as long as this process lives.

    It is below those that the system gives away by itself. A name outside the file system marks it.
    """
    for port in range(20_000, 32_000):
        mark = socket.socket(socket.AF_UNIX)
        with suppress(OSError), socket.socket() as probe:
            mark.bind(f"\0port-of-a-test-{port}")
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            _marks.append(mark)
            return port
        mark.close()
    raise AssertionError("no port is free")


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
