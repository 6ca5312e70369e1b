"""Initialise an Airflow whose metadata database is migrated: its connections and its user's password.

Usage: python -m notebook_pipeline.airflow.initialise, with the connections as AIRFLOW_CONN_… variables, the
password of the user `admin` as AIRFLOW_ADMIN_PASSWORD, and the file for passwords as
AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE. It can be run again at any time: existing connections are
not changed. Exits with status 2 and an error message if a value is missing or cannot be used.
"""

import json
import os
import sys
from pathlib import Path

from notebook_pipeline.airflow.add_connections import add_connections
from notebook_pipeline.connections import API, DATABASE, FILES, Connection, resolve, sqlite_path
from notebook_pipeline.errors import UsageError

USER = "admin"
PASSWORD = "AIRFLOW_ADMIN_PASSWORD"  # noqa: S105 - a variable's name
PASSWORDS_FILE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
_MEANING = {PASSWORD: f"the password of the user {USER}", PASSWORDS_FILE: "the file for passwords"}
_MOUNTS = Path("/proc/self/mountinfo")
_SHORTEST_PASSWORD = 12
# File systems of folders shared by another machine, or by the host of Docker Desktop's virtual machine.
_SHARED = {"9p", "cifs", "drvfs", "fakeowner", "nfs", "nfs4", "prl_fs", "smb3", "vboxsf", "virtiofs"}


def main() -> int:
    """Set the password, add connections, check the database's folder; return the exit status."""
    try:
        set_password(Path(_needed(PASSWORDS_FILE)), _needed(PASSWORD))
        wanted = {conn_id: json.loads(resolve(conn_id).to_json()) for conn_id in (DATABASE, API, FILES)}
        added, stored = add_connections(wanted)
        refuse_shared_folder(stored[DATABASE])
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    for conn_id in stored:
        print(f"connection {conn_id}: {'added' if conn_id in added else 'exists, not changed'}")
    print(f"user {USER}: password set")
    return 0


def set_password(path: Path, password: str) -> None:
    """Write the password of the user `admin` to Airflow's passwords file, readable by its owner only.

    Other users' passwords are kept. Raises UsageError if the password is too short.
    """
    if len(password) < _SHORTEST_PASSWORD:
        raise UsageError(
            f"{PASSWORD} has {len(password)} characters; give at least {_SHORTEST_PASSWORD} "
            "(to make one: python3 -c 'import secrets; print(secrets.token_urlsafe(16))')"
        )
    kept = json.loads(path.read_text() or "{}") if path.exists() else {}
    written = path.with_suffix(".new")
    descriptor = os.open(written, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(kept | {USER: password}, file)
    written.replace(path)


def refuse_shared_folder(database: Connection, mounts: Path = _MOUNTS) -> None:
    """Raise UsageError if a SQLite database is in a folder that shares files, but not memory.

    Write-ahead logging needs memory shared by all processes that open the file; without it the file can be
    corrupted.
    """
    if database.conn_type != "sqlite":
        return
    path = sqlite_path(database)
    kind = _file_system(path, mounts.read_text())
    if kind in _SHARED or kind.startswith("fuse"):
        raise UsageError(
            f"connection {database.conn_id!r} names {path}, which is in a shared folder (file system "
            f"{kind!r}): SQLite files can be corrupted there. Delete it (`airflow connections delete "
            f"{database.conn_id}`), set its variable to a file on a volume, and initialise again"
        )


def _file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds the path, from the text of `mountinfo`."""
    place, kind = Path("/"), ""
    for line in mounts.splitlines():
        before, after = line.split(" - ", 1)
        mounted = Path(before.split()[4].encode().decode("unicode_escape"))
        # The later of two mounts at the same place hides the earlier one.
        if path.resolve().is_relative_to(mounted) and mounted.is_relative_to(place):
            place, kind = mounted, after.split()[0]
    return kind


def _needed(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise UsageError(f"{name} is not set: set it to {_MEANING[name]}")
    return value


if __name__ == "__main__":
    sys.exit(main())
