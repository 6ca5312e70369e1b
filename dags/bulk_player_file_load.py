"""### Load bulk player files

Loads CSV or Parquet files of players into the analytics database, then checks the table.
Run it **on demand**: for the first load, or to repair the table from a newer file.

* **Reads** the file, folder or glob that the form's `source` names, through the connection
  `repository_raw_url`.
* **Writes** table `player` of the connection `analytics_database`, each `load` in one transaction. On
  PostgreSQL many files are loaded by several of them side by side; on SQLite, which has one writer, by one.
* **It may be run again at any time**, also while the recurring DAG runs: newer rows always win, and files
  that are loaded already change nothing (`force` reads them again).
* **When a `load` fails** nothing of its files is in, what others loaded stays. Too many rejected rows, a
  missing column: see the executed notebook that the task's log names; mend the file, or raise the limit in
  the form. Such a failure is not retried; a file that cannot be fetched is, by that `load` alone.
* **When `check` fails** the rows are in, and a check of severity `error` does not hold: its notebook shows
  which. Nothing is published to those who wait for `analytics_database/player` until a check passes.
"""

from datetime import timedelta

from airflow.sdk import DAG, Asset

from notebook_pipeline.airflow import NotebookOperator, notebook_params, plan_bulk_load, report_run

with DAG(
    dag_id="bulk_player_file_load",
    description="Load a bulk file of players into the analytics database, then check the table",
    doc_md=__doc__,
    schedule=None,
    is_paused_upon_creation=False,
    max_active_runs=1,
    params=notebook_params("bulk_load"),
    tags=["player", "bulk", "notebook"],
    default_args={
        "owner": "data-team",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=1),
    },
):
    load = NotebookOperator.partial(task_id="load", input_nb="bulk_load").expand(parameters=plan_bulk_load())
    check = NotebookOperator(
        task_id="check",
        input_nb="data_quality",
        parameters={"run_id": "{{ ti.xcom_pull(['load']) | map(attribute='run_id') | join(' ') }}"},
        outlets=[Asset("analytics_database/player")],
    )

    load >> check >> report_run().as_teardown()
