"""The task that checks what was loaded, and announces the dataset if the checks pass."""

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from notebook_pipeline.airflow.dataset_assets import CHECKED_DATASET
from notebook_pipeline.airflow.operator import NotebookOperator


def check_dataset(load: BaseOperator | MappedOperator) -> NotebookOperator:
    """Return the task `check`, which checks what the task `load` (mapped or not) wrote in this DAG run.

    It runs the notebook `data_quality` on the dataset chosen in the DAG run's form. If no check of severity
    `error` fails, it publishes that dataset's asset.
    """
    run_ids = f"{{{{ ti.xcom_pull(['{load.task_id}']) | map(attribute='run_id') | join(' ') }}}}"
    return NotebookOperator(
        task_id="check",
        input_nb="data_quality",
        parameters={"run_id": run_ids},
        outlets=[CHECKED_DATASET],
    )
