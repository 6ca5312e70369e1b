"""Receiving responses: network errors, and bodies piece by piece, within the limits of time and size."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from notebook_pipeline.sources.http import responses
from notebook_pipeline.sources.http.request_kinds import Request
from notebook_pipeline.sources.http.responses import ASK_CONNECTION, TryError
from notebook_pipeline.sources.http.retries import Patience

_CHUNK = 1 << 18


class Receiving:
    """What a client receives until it is closed, within the limits of its patience."""

    def __init__(self, patience: Patience, closed: threading.Event) -> None:
        self._patience = patience
        self._closed = closed

    def pieces(self, response: requests.Response, request: Request, until: float) -> Iterator[bytes]:
        """Yield the pieces of a body, or raise TryError if it takes too long or is too large."""
        self._check_size(response.raw.length_remaining or 0, request)
        size = 0
        while True:
            with self.network_errors():
                # Read the socket once at a time, so that the time limit also applies to a slow body.
                piece = response.raw.read1(_CHUNK, decode_content=request.decode)
            if not piece:
                return
            self.check_open()
            size += len(piece)
            self._check_size(size, request)
            if time.monotonic() > until:
                seen = f"200 with only {size:,} bytes in {self._patience.answer:g} s"
                raise TryError(seen, request.kind.when_large, is_passing=True)
            yield piece

    def _check_size(self, size: int, request: Request) -> None:
        if size > self._patience.max_bytes:
            seen = f"200 with a body of more than {self._patience.max_bytes:,.0f} bytes"
            raise TryError(seen, request.kind.when_large, is_passing=False)

    def check_open(self) -> None:
        """Raise TryError if the client was closed."""
        if self._closed.is_set():
            raise TryError(
                "the client was closed before the answer was complete", ASK_CONNECTION, is_passing=False
            )

    @contextmanager
    def network_errors(self) -> Iterator[None]:
        """Turn network errors into a TryError; others, such as that of a full disk, are not changed."""
        try:
            yield
        except responses.NETWORK_ERRORS as error:
            error = responses.no_answer(error)
            error.is_passing = error.is_passing and not self._closed.is_set()
            raise error from None
