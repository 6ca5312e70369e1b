"""Settings common to all DAGs: owner, retries, time limits, and one run at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any


def dag_defaults(*, owner: str = "data-team", time_limit_minutes: float = 60) -> dict[str, Any]:
    """Return keyword arguments for `DAG`.

    A failed task is retried three times, with increasing delays. Each try may take
    `time_limit_minutes`. Runs never overlap, and missed intervals are not run later: the watermark is stored
    in the database, so that the next run fetches everything since the last successful one.
    """
    return {
        # Airflow does not schedule a DAG without a start date; any past day will do.
        "start_date": datetime(2024, 9, 1, tzinfo=UTC),
        "catchup": False,
        "max_active_runs": 1,
        "default_args": {
            "owner": owner,
            "retries": 3,
            "retry_delay": timedelta(seconds=30),
            "retry_exponential_backoff": 2,
            "max_retry_delay": timedelta(minutes=10),
            "execution_timeout": timedelta(minutes=time_limit_minutes),
        },
    }
