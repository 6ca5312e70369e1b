"""Find and end the processes that a notebook has left behind, whatever session or parent they have."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from notebook_pipeline.running.mime_types import RUN_ID

_PROCESSES = Path("/proc")
_ROUNDS = 10


def end_leftovers(run_id: str) -> list[str]:
    """End every other process that inherited a run's id; return their names, each with its process id.

    A process that drops its environment is not found, and none is where the system has no /proc.
    """
    ended: dict[int, str] = {}
    if not run_id:
        return []
    # One that is just being started may be missed, and found in the next round.
    for _ in range(_ROUNDS):
        found = dict(_leftovers(run_id))
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended |= found
        if not found:
            break
    return [f"{name} ({pid})" for pid, name in ended.items()]


def _leftovers(run_id: str) -> Iterator[tuple[int, str]]:
    mark = f"{RUN_ID}={run_id}".encode()
    for folder in _PROCESSES.glob("[0-9]*"):
        # It may be another user's, or end at this moment; one that has ended has no environment any more.
        with suppress(OSError):
            if int(folder.name) != os.getpid() and mark in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name), (folder / "comm").read_text(errors="replace").strip()
