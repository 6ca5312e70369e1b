"""Make the environment in which the demonstration runs: its own Airflow, its own database, the sample API."""

import os
from pathlib import Path

from notebook_pipeline import settings
from notebook_pipeline.connections import API, DATABASE, FILES, Connection, default, variable
from notebook_pipeline.errors import UsageError

AIRFLOW_HOME = settings.CHECKOUT / ".airflow"


def airflow_environment(home: Path = AIRFLOW_HOME) -> dict[str, str]:
    """Return this environment with an Airflow that knows nothing but `home` and this checkout's DAGs."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(settings.CHECKOUT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def sample_connections(url: str) -> dict[str, Connection]:
    """Return the three connections: the database in the output folder, the sample API, the folder data/."""
    return {DATABASE: default(DATABASE), API: Connection(API, "http", host=url), FILES: default(FILES)}


def sample_environment(url: str) -> dict[str, str]:
    """Return the variables that hold the sample's connections."""
    return {variable(name): found.to_json() for name, found in sample_connections(url).items()}


def refuse_other_connections() -> None:
    """Raise UsageError where a connection is set: the demonstration must not touch a real database."""
    found = [variable(name) for name in (DATABASE, API, FILES) if variable(name) in os.environ]
    if found:
        raise UsageError(
            f"{', '.join(found)} is set, and this command works on the demonstration's own database only. "
            f"Unset it (unset {' '.join(found)}) and call again; `make airflow` runs the DAGs on your own"
        )
