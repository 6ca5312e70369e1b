"""Do a run's work in a thread of its own, so that whatever interrupts the main one finds it only waiting.

An exception out of a signal handler may strike anywhere in the main thread: within an event loop, where
it would be lost, or within the saving of a file. Here it strikes a wait; the work is told to stop, and its
last word is written, before the exception goes on its way.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from notebook_pipeline.errors import PipelineError

Say = Callable[[str], None]
Result = TypeVar("Result")

# Docker kills what has not ended ten seconds after it was asked to, Airflow after five; what is killed
# while it waits for the ledger is settled as lost, as what is left is.
GRACE_SECONDS = 8.0
_POLL_SECONDS = 0.5


class Stop:
    """Ask a run to stop, from a signal handler or another thread; the first cause given is the one told."""

    def __init__(self) -> None:
        self.cause: str | None = None
        self._requested = 0.0
        self._end: Callable[[], None] | None = None

    def request(self, cause: str) -> None:
        """Stop the run; its artefact and ledger row will name the cause."""
        if self.cause is None:
            self.cause, self._requested = cause, time.monotonic()
        if self._end:
            self._end()

    @property
    def is_overdue(self) -> bool:
        """Say whether what was asked to stop has had its time."""
        return self.cause is not None and time.monotonic() - self._requested > GRACE_SECONDS

    def ends(self, end: Callable[[], None]) -> None:
        """Name what a stop ends; one that was requested before ends it now."""
        self._end = end
        if self.cause:
            end()


def do(work: Callable[[Say], Result], report: Say, stop: Stop) -> Result:
    """Return what the work returns, while its lines are reported; an interruption stops it and is raised.

    Work that was stopped and cannot end, for it waits for somebody else's lock, is left after a grace
    period; where nothing was raised here, PipelineError says so.
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
            stop.request(_in_words(error))
    if interruption:
        raise interruption
    if not future.done():
        raise PipelineError(f"{stop.cause}; the run waits for the ledger's lock, and will be settled as lost")
    return future.result()


def _wait(lines: SimpleQueue[str | None], report: Say, stop: Stop) -> None:
    """Report the work's lines until it has ended, or is overdue."""
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


def _in_words(error: BaseException) -> str:
    message = str(error)
    return f"stopped by {type(error).__name__}" + (f": {message}" if message else "")
