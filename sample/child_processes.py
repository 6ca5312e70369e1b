"""Start programs and make sure that they are gone when this one ends, however it ends."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

GRACE_SECONDS = 20.0


@contextmanager
def child(command: list[str], **options: Any) -> Iterator[subprocess.Popen]:
    """Run a program in a session of its own, out of reach of Ctrl-C; interrupt it at the end."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # In a shell's background this program ignores interrupts, and what it starts would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen) -> None:
    """Interrupt a program, and kill it with its group when it does not end in time."""
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(GRACE_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_on_signals() -> None:
    """Let SIGTERM and a closed terminal end this program as an exception does, so that it clears up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
