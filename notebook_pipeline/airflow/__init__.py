"""Building blocks of DAGs: the notebook operator, its form, and the tasks around it.

Names are imported on first use, so that a plain `airflow` command does not import papermill.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notebook_pipeline.airflow.bulk_plan import plan_bulk_load
    from notebook_pipeline.airflow.check_task import check_dataset
    from notebook_pipeline.airflow.dataset_assets import CHECKED_DATASET, dataset_asset
    from notebook_pipeline.airflow.defaults import dag_defaults
    from notebook_pipeline.airflow.form import notebook_params
    from notebook_pipeline.airflow.health import HealthCheckOperator
    from notebook_pipeline.airflow.operator import NotebookOperator
    from notebook_pipeline.airflow.run_report import report_run
    from notebook_pipeline.airflow.sweep_schedule import choose_full_sweep

__all__ = [
    "CHECKED_DATASET",
    "HealthCheckOperator",
    "NotebookOperator",
    "check_dataset",
    "choose_full_sweep",
    "dag_defaults",
    "dataset_asset",
    "notebook_params",
    "plan_bulk_load",
    "report_run",
]

_MODULES = {
    "CHECKED_DATASET": "dataset_assets",
    "HealthCheckOperator": "health",
    "NotebookOperator": "operator",
    "check_dataset": "check_task",
    "choose_full_sweep": "sweep_schedule",
    "dag_defaults": "defaults",
    "dataset_asset": "dataset_assets",
    "notebook_params": "form",
    "plan_bulk_load": "bulk_plan",
    "report_run": "run_report",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
