"""Retries: how many, after which pause, and the limits of time and size."""

import math
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime

from notebook_pipeline.connections import Connection
from notebook_pipeline.sources.http import connection_settings

PASSING_STATUSES = frozenset({408, 425, 429, *range(500, 600)} - {501, 505})

_RESETS = ("x-ratelimit-reset", "ratelimit-reset")
_REMAINDERS = ("x-ratelimit-remaining", "ratelimit-remaining")
_FIRST_EPOCH = 1_000_000_000  # the year 2001; a smaller number counts seconds from now


@dataclass(frozen=True)
class Patience:
    """The limits of requests: times in seconds, number of tries, and size in bytes.

    `silence` is the longest wait for the next byte, `answer` for a whole response, `budget` for everything
    that one client requests, including pauses. The n-th pause is `backoff` doubled n - 1 times plus up to
    `jitter`, at most `backoff_max`. If the server asks for a longer pause, that is kept if the budget allows
    it, else limited to `retry_after_max`. `max_bytes` limits one decoded body.
    """

    connect: float = 10
    silence: float = 60
    answer: float = 300
    budget: float = 2700
    tries: int = 6
    backoff: float = 0.5
    backoff_max: float = 30
    jitter: float = 1.0
    retry_after_max: float = 120
    max_bytes: float = 256 * 2**20

    def pause(self, retry: int, asked: float, left: float) -> float:
        """Return the pause before retry 1, 2 …; `asked` is the server's request, `left` what remains."""
        wished = asked if asked < left else min(asked, self.retry_after_max)
        if wished > 0:
            return wished
        jitter = random.uniform(0, self.jitter)  # noqa: S311 (not used for security)
        return min(self.backoff * 2 ** (retry - 1) + jitter, self.backoff_max)


# A large file takes long: its download ends only after silence, or at these limits.
FILE_PATIENCE = Patience(answer=3600, budget=3600, max_bytes=20e9)


def page_patience(connection: Connection) -> Patience:
    """Return the limits for an API; the connection's extra may set `timeout`."""
    return _with_timeout(Patience(), connection)


def file_patience(connection: Connection) -> Patience:
    """Return the limits for a file; the extra may set `timeout`, `max_bytes` and `max_seconds`."""
    seconds = connection_settings.number(connection, "max_seconds", FILE_PATIENCE.budget)
    max_bytes = connection_settings.number(connection, "max_bytes", FILE_PATIENCE.max_bytes)
    patience = replace(FILE_PATIENCE, answer=seconds, budget=seconds, max_bytes=max_bytes)
    return _with_timeout(patience, connection)


def asked_pause(status: int, headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks to wait: 0 if the header is invalid, None if it does not ask."""
    if "retry-after" in headers:
        return _seconds_until(headers["retry-after"])
    if status not in (403, 429):
        return None
    if status == 403 and any(_number(headers[name]) > 0 for name in _REMAINDERS if name in headers):
        return None  # requests remain, so the 403 has another reason
    resets = (_seconds_until(headers[name]) for name in _RESETS if name in headers)
    return next(resets, _reset_of_limit(headers.get("ratelimit", "")))


def _reset_of_limit(text: str) -> float | None:
    """Return the seconds to wait in a header such as `RateLimit: "default";r=0;t=50`, or None."""
    fields = dict(item.strip().split("=", 1) for item in re.split("[;,]", text) if "=" in item)
    if any(_number(fields[name]) > 0 for name in ("r", "remaining") if name in fields):
        return None
    return next((_seconds_until(fields[name]) for name in ("t", "reset") if name in fields), None)


def _with_timeout(patience: Patience, connection: Connection) -> Patience:
    return replace(
        patience,
        connect=connection_settings.number(connection, "timeout", patience.connect),
        silence=connection_settings.number(connection, "timeout", patience.silence),
    )


def _seconds_until(text: str) -> float:
    """Return the seconds until the time in a header: a number of seconds, an epoch or an HTTP date."""
    number = _number(text)
    if math.isnan(number):
        try:
            date = parsedate_to_datetime(text)
            number = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return 0
    seconds = number - time.time() if number >= _FIRST_EPOCH else number
    return seconds if 0 < seconds < math.inf else 0


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
