"""Saving an artefact while its run goes on: at once in a folder, every few seconds on an object store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread

from notebook_pipeline.outputs.folder import Folder
from notebook_pipeline.outputs.output_store import Output

SECONDS_BETWEEN_PUTS = 5.0

Save = Callable[[str], None]


@contextmanager
def following(output: Output, key: str, say: Callable[[str], None]) -> Iterator[Save]:
    """Yield the function that saves a version of an artefact while its run goes on.

    Nothing is written after the context is left. If a store fails, report it with `say` and retry.
    """
    if isinstance(output, Folder):
        yield partial(output.write, key)
        return
    follower = Follower(partial(output.write, key), say, SECONDS_BETWEEN_PUTS)
    try:
        yield follower.offer
    finally:
        follower.close()


class Follower:
    """Write the first version at once, then, from a thread, the newest one at most every `seconds`."""

    def __init__(self, write: Save, say: Callable[[str], None], seconds: float) -> None:
        self._write = write
        self._say = say
        self._seconds = seconds
        self._newest = ""
        self._offered, self._closed = Event(), Event()
        self._thread: Thread | None = None

    def offer(self, text: str) -> None:
        """Take a version to write; it replaces one that is not written yet.

        Raises OSError if the first version cannot be written: a run without an artefact must not begin.
        """
        if self._thread is None:
            self._write(text)
            self._thread = Thread(target=self._follow, name="artefact", daemon=True)
            self._thread.start()
        else:
            self._newest = text
            self._offered.set()

    def close(self) -> None:
        """Stop the thread, after the write in progress if there is one."""
        self._closed.set()
        self._offered.set()
        if self._thread:
            self._thread.join()

    def _follow(self) -> None:
        failed = False
        while self._comes_next():
            try:
                self._write(self._newest)
                failed = False
            except OSError as error:
                self._offered.set()
                if not failed:
                    self._say(f"the artefact could not be updated and will be retried: {error}")
                failed = True

    def _comes_next(self) -> bool:
        """Wait until there is a version to write and it is time; return False once this is closed."""
        self._closed.wait(self._seconds)
        self._offered.wait()
        self._offered.clear()
        return not self._closed.is_set()
