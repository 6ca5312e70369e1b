"""Whatever interrupts the main thread, the work writes its last word first."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from notebook_pipeline.errors import PipelineError
from notebook_pipeline.running import background
from notebook_pipeline.running.background import Say, Stop, do


class Interrupted(BaseException):
    """Stand for what Airflow raises out of a signal handler."""


def worker(stop: Stop, written: list[str]) -> Callable[[Say], str]:
    """Return work that says that it runs, and ends when it is told to."""
    told = threading.Event()
    stop.ends(told.set)

    def work(say: Say) -> str:
        say("at work")
        assert told.wait(60)
        written.append(f"last word: {stop.cause}")
        say("ended")
        return "done"

    return work


def test_lines_are_reported_in_this_thread_and_the_result_returned() -> None:
    lines: list[tuple[str, int]] = []

    def work(say: Say) -> int:
        say("one")
        say("two")
        return 7

    assert do(work, lambda line: lines.append((line, threading.get_ident())), Stop()) == 7
    assert lines == [("one", threading.get_ident()), ("two", threading.get_ident())]


def test_what_the_work_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        do(lambda _: 1 // 0, lambda _: None, Stop())


@pytest.mark.parametrize(
    ("error", "cause"), [(Interrupted("task time-out"), ": task time-out"), (KeyboardInterrupt(), "")]
)
def test_an_exception_out_of_a_signal_handler_waits_for_the_last_word(
    error: BaseException, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handler(*_: Any) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, handler)
    written: list[str] = []
    lines: list[str] = []
    stop = Stop()

    def report(line: str) -> None:
        lines.append(line)
        # It arrives in the wait that follows; the second finds the work ending already.
        signal.setitimer(signal.ITIMER_REAL, 0.05 if len(lines) == 1 else 0)

    try:
        with pytest.raises(type(error)):
            do(worker(stop, written), report, stop)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert written == [f"last word: stopped by {type(error).__name__}{cause}"]
    assert lines == ["at work", "ended"]


def test_an_exception_that_strikes_between_two_waits_finds_the_work_told_to_end() -> None:
    class Struck(Stop):
        """Stand for a signal that arrives when the overdue stop is looked for."""

        @property
        def is_overdue(self) -> bool:
            if self.cause is None:
                raise Interrupted("now")
            return super().is_overdue

    written: list[str] = []
    stop = Struck()
    with pytest.raises(Interrupted):
        do(worker(stop, written), lambda _: None, stop)
    assert written == ["last word: stopped by Interrupted: now"]


def test_a_report_that_fails_ends_the_work_too() -> None:
    written: list[str] = []
    stop = Stop()

    def report(line: str) -> None:
        raise OSError("the log is gone")

    with pytest.raises(OSError, match="the log is gone"):
        do(worker(stop, written), report, stop)
    assert written == ["last word: stopped by OSError: the log is gone"]


def test_a_stop_from_a_signal_handler_ends_the_work_without_an_exception() -> None:
    written: list[str] = []
    stop = Stop()
    before = signal.signal(signal.SIGUSR1, lambda *_: stop.request("told to"))
    try:
        assert do(worker(stop, written), lambda _: os.kill(os.getpid(), signal.SIGUSR1), stop) == "done"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert written == ["last word: told to"]


def test_the_first_cause_is_the_one_told_and_an_early_stop_is_not_lost() -> None:
    ended: list[int] = []
    stop = Stop()
    stop.request("first")
    stop.request("second")
    stop.ends(lambda: ended.append(1))
    assert (stop.cause, ended) == ("first", [1])


def test_work_that_cannot_end_is_left_after_a_grace_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "GRACE_SECONDS", 0.1)
    let_go = threading.Event()

    def work(say: Say) -> None:
        say("waiting for somebody else's lock")
        let_go.wait(60)

    def report(line: str) -> None:
        raise Interrupted

    try:
        with pytest.raises(Interrupted):
            do(work, report, Stop())
        stop = Stop()
        with pytest.raises(PipelineError, match="told to; the run is still waiting for the ledger's lock"):
            do(work, lambda _: stop.request("told to"), stop)
    finally:
        let_go.set()
