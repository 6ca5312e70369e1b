"""Processes that a notebook has left running, whatever their session or parent."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from notebook_pipeline.running.mime_types import RUN_ID

_PROCESSES = Path("/proc")
_ROUNDS = 10


def end_leftovers(run_id: str) -> list[str]:
    """Kill every other process that inherited a run's id; return their names and process ids.

    A process that clears its environment is not found, and none is found if the system has no /proc.
    """
    ended: dict[int, str] = {}
    if not run_id:
        return []
    # A process that is just starting may be missed; the next round finds it.
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
        # The process may belong to another user or have just ended.
        with suppress(OSError):
            if int(folder.name) != os.getpid() and mark in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name), (folder / "comm").read_text(errors="replace").strip()
