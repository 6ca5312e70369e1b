"""Running the work of a run in a thread of its own, so that an exception can only interrupt a wait.

A signal handler may raise an exception anywhere in the main thread: inside an event loop, where it would be
lost, or while a file is saved. Here it interrupts a wait; the work is then asked to stop, and the exception
is raised again after artefact and ledger have been completed.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from notebook_pipeline.errors import PipelineError
from notebook_pipeline.running.run_lines import Say

Result = TypeVar("Result")

# Docker kills a process ten seconds after asking it to stop, Airflow after five. A run that is killed or
# left while it waits for the ledger is marked as lost later.
GRACE_SECONDS = 8.0
_POLL_SECONDS = 0.5


class Stop:
    """A request to stop a run, from a signal handler or another thread; the first cause given is reported."""

    def __init__(self) -> None:
        self.cause: str | None = None
        self._requested = 0.0
        self._end: Callable[[], None] | None = None

    def request(self, cause: str) -> None:
        """Stop the run; the cause is written to its artefact and ledger row."""
        if self.cause is None:
            self.cause, self._requested = cause, time.monotonic()
        if self._end:
            self._end()

    @property
    def is_overdue(self) -> bool:
        """Return True if the grace period since the request has passed."""
        return self.cause is not None and time.monotonic() - self._requested > GRACE_SECONDS

    def ends(self, end: Callable[[], None]) -> None:
        """Set the function that a stop calls; call it now if a stop was already requested."""
        self._end = end
        if self.cause:
            end()


def do(work: Callable[[Say], Result], report: Say, stop: Stop) -> Result:
    """Return what `work` returns; an exception in this thread meanwhile stops it and is raised again.

    The lines of the work are reported in this thread. Work that does not end within the grace period after a
    stop, because it waits for another process's lock, is abandoned; PipelineError is raised if there is no
    exception to raise again.
    """
    lines: SimpleQueue[str | None] = SimpleQueue()
    future: Future[Result] = Future()
    Thread(target=_fill, args=(future, work, lines), daemon=True).start()
    interruption: BaseException | None = None
    while True:
        try:
            _wait(lines, report, stop)
            break
        except BaseException as error:
            interruption = interruption or error
            stop.request(_describe(error))
    if interruption:
        raise interruption
    if not future.done():
        raise PipelineError(
            f"{stop.cause}; the run is still waiting for the ledger's lock and will be marked as lost"
        )
    return future.result()


def _wait(lines: SimpleQueue[str | None], report: Say, stop: Stop) -> None:
    """Report the work's lines until it ends or is overdue."""
    while not stop.is_overdue:
        try:
            line = lines.get(timeout=_POLL_SECONDS)
        except Empty:
            continue
        if line is None:
            return
        report(line)


def _fill(future: Future[Result], work: Callable[[Say], Result], lines: SimpleQueue[str | None]) -> None:
    try:
        future.set_result(work(lines.put))
    except BaseException as error:
        future.set_exception(error)
    finally:
        lines.put(None)


def _describe(error: BaseException) -> str:
    message = str(error)
    return f"stopped by {type(error).__name__}" + (f": {message}" if message else "")
