"""A file that is not on this machine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Remote:
    """A remote file: an HTTP `url`, or a function that yields its bytes; `alone` names only this file."""

    name: str
    url: str
    alone: str
    chunks: Callable[[], Iterator[bytes]] | None = None
