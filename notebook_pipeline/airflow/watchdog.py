"""Stop a task whose supervising process has died; nothing else would stop it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_POLL_SECONDS = 0.3
_GRACE_SECONDS = 10.0


@contextmanager
def stop_with_parent() -> Iterator[None]:
    """Send SIGTERM to this process if its parent dies within the block; exit if it still runs 10 s later."""
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(os.getppid(), done), name="watchdog", daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def _watch(parent: int, done: threading.Event) -> None:
    while not done.wait(_POLL_SECONDS):
        if os.getppid() == parent:
            continue
        os.kill(os.getpid(), signal.SIGTERM)
        if not done.wait(_GRACE_SECONDS):
            os._exit(1)
        return
