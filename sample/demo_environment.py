"""The environment of the demonstration: a separate Airflow, a separate database, the sample API."""

import base64
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from notebook_pipeline import settings
from notebook_pipeline.connections import API, DATABASE, FILES, Connection, default, variable
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage.file_lock import open_locked

AIRFLOW_HOME = settings.CHECKOUT / ".airflow"

_CONFIGURATION = """\
# Secrets of this Airflow, generated when it was first started.
[core]
fernet_key = {fernet_key}

[api]
secret_key = {secret_key}

[api_auth]
jwt_secret = {jwt_secret}
"""


def airflow_environment(home: Path = AIRFLOW_HOME) -> dict[str, str]:
    """Return this process's environment, set to an Airflow in `home` that has only this checkout's DAGs.

    The folder and its secrets are created if they are missing, readable by their owner only.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (home / "airflow.cfg").exists():
        write_private(home / "airflow.cfg", _CONFIGURATION.format(**_new_secrets()))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(settings.CHECKOUT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
    }


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Lock the Airflow of `home`, or raise UsageError: a scheduler would continue another process's runs."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        lock = open_locked(home / "in-use.lock")
    except BlockingIOError:
        raise UsageError(
            f"{home} is in use by `make airflow` or another `make run`: wait for it to end or stop it "
            "(while `make airflow` is running, trigger the DAGs in its web interface)"
        ) from None
    try:
        yield
    finally:
        os.close(lock)


def sample_environment(url: str) -> dict[str, str]:
    """Return the connection variables of the sample: output folder, sample API at `url`, folder data/."""
    found = (default(DATABASE), Connection(API, "http", host=url), default(FILES))
    return {variable(connection.conn_id): connection.to_json() for connection in found}


def refuse_other_connections() -> None:
    """Raise UsageError if a connection is set: the demonstration must not change a real database."""
    found = [variable(name) for name in (DATABASE, API, FILES) if variable(name) in os.environ]
    if found:
        raise UsageError(
            f"{', '.join(found)} is set, and this command works on the demonstration's own database only. "
            f"Unset it (unset {' '.join(found)}) and try again; `make airflow` uses your own connections"
        )


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)


def _new_secrets() -> dict[str, str]:
    return {
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "secret_key": secrets.token_urlsafe(32),
        "jwt_secret": secrets.token_urlsafe(48),
    }
