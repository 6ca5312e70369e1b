"""Reading ahead: the next items of an iterator are computed while the last one is used."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")

BATCHES_AHEAD = 2


def prefetched(items: Iterable[T]) -> Generator[T]:
    """Yield the items, computing the next ones in a thread while the last is used."""
    end = object()
    source = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as reader:
        ahead = deque(reader.submit(next, source, end) for _ in range(BATCHES_AHEAD))
        try:
            while (item := ahead.popleft().result()) is not end:
                ahead.append(reader.submit(next, source, end))
                yield cast("T", item)
        finally:
            reader.shutdown(wait=False, cancel_futures=True)
