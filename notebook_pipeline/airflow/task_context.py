"""The context that Airflow gives a running task."""

from typing import Any, cast

from airflow.sdk import get_current_context


def task_context() -> dict[str, Any]:
    """Return the context of the task that runs in this process."""
    return cast("dict[str, Any]", get_current_context())
