"""What a DAG file needs: the notebook operator, its form, and the tasks around it.

Names are imported when they are asked for, so that a plain `airflow` command does not import papermill.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notebook_pipeline.airflow.form import notebook_params
    from notebook_pipeline.airflow.health import HealthCheckOperator
    from notebook_pipeline.airflow.operator import NotebookOperator
    from notebook_pipeline.airflow.tasks import choose_full_sweep, plan_bulk_load, report_run

__all__ = [
    "HealthCheckOperator",
    "NotebookOperator",
    "choose_full_sweep",
    "notebook_params",
    "plan_bulk_load",
    "report_run",
]

_MODULES = {
    "HealthCheckOperator": "health",
    "NotebookOperator": "operator",
    "choose_full_sweep": "tasks",
    "notebook_params": "form",
    "plan_bulk_load": "tasks",
    "report_run": "tasks",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
