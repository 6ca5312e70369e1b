"""Child processes that are stopped when this process ends, however it ends."""

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
    """Run a program in a separate session, which Ctrl-C does not reach; interrupt it when the block ends."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell makes background processes ignore interrupts, and the child would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen) -> None:
    """Interrupt a program; kill it and its process group if it does not end within GRACE_SECONDS."""
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
    """Raise SystemExit on SIGTERM and SIGHUP, so that this program cleans up before it ends."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
