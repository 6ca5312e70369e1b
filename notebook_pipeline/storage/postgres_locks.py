"""The advisory locks of PostgreSQL, which are identified by 64-bit integers."""

import hashlib
from collections.abc import Callable

# Counts the sessions of this database that hold an advisory lock.
HELD = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (CAST(classid AS BIGINT) << 32) | CAST(objid AS BIGINT) = ?"""


class SessionLock:
    """An advisory lock that a session holds."""

    def __init__(self, release: Callable[[], object]) -> None:
        self._release = release

    def release(self) -> None:
        """Release the lock; releasing it twice does nothing."""
        self._release()


def lock_number(kind: str, name: str) -> int:
    """Return the number of a named advisory lock."""
    digest = hashlib.sha256(f"notebook_pipeline {kind} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
