"""The errors of SQLite in words: the message of the driver, and what to do about it."""

from adbc_driver_manager import Error

LOCKED = "database is locked"
_REMEDIES = {
    "disk is full": "free space on this disk and run again; nothing was changed",
    "disk I/O error": "check that this disk has space and allows files of this size, and run again; "
    "nothing was changed",
    "readonly": "make the file and its folder writable and run again; nothing was changed",
    "unable to open database file": "make the file and its folder writable",
    LOCKED: "another writer held the lock too long; check which run is `running`, then run again",
    "not a database": "this file is not a SQLite database; check the connection",
    "malformed": "the file is damaged; restore it from a backup",
}


def explained(error: Error) -> str:
    """Return the driver's message, without the statement, and what to do about it where that is known."""
    said = str(error).split("\nquery:")[0]
    remedy = next((remedy for sign, remedy in _REMEDIES.items() if sign in said), "")
    return f"{said} ({remedy})" if remedy else said
