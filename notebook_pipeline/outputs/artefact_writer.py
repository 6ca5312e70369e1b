"""Let an artefact follow its run: at once in a folder, on a store now and then, from a thread of its own."""

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
    """Yield what saves each version of an artefact while its run goes on.

    Once left, nothing is written any more. A store that fails meanwhile is told of, and asked again.
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
    """Write the first version at once, then the newest that was offered, never two within `seconds`."""

    def __init__(self, write: Save, say: Callable[[str], None], seconds: float) -> None:
        self._write = write
        self._say = say
        self._seconds = seconds
        self._newest = ""
        self._offered, self._closed = Event(), Event()
        self._thread: Thread | None = None

    def offer(self, text: str) -> None:
        """Take a version, instead of the one before if that is not written yet.

        Raises OSError with the first one alone: a run that cannot be told of had better not begin.
        """
        if self._thread is None:
            self._write(text)
            self._thread = Thread(target=self._follow, name="artefact", daemon=True)
            self._thread.start()
        else:
            self._newest = text
            self._offered.set()

    def close(self) -> None:
        """End after the write that is under way, if there is one."""
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
                    self._say(f"the artefact does not follow for now: {error}")
                failed = True

    def _comes_next(self) -> bool:
        """Wait until there is a version to write and it is time; say no once this is closed."""
        self._closed.wait(self._seconds)
        self._offered.wait()
        self._offered.clear()
        return not self._closed.is_set()
