"""### Bring the player table up to date from the API

Runs **every day at midnight (UTC)**, one run at a time: checks that the API is up, merges what has changed
since the watermark, and checks the table. The first run of each week, which begins on Sunday, reads
everything, to find rows that the source no longer has; `full_sweep` in the form does so at any time. When the
DAG is switched on, it brings the table up to date at once; a run that is triggered at that moment waits about
half a minute until that first run has finished.

* **Reads** the API of the connection `sportsworldcentral_url`.
* **Writes** the table `player` of the connection `analytics_database`, in one transaction.
* **It may be run again at any time.** Missed days need no runs of their own: the watermark is stored in the
  database, so the next run fetches everything since the last successful one.
* **When `check_api` fails**, the API does not answer; the log names the address and the connection. Nothing
  has been changed. Airflow retries it three times within a few minutes; if it still fails, run the DAG again
  once the API is back.
* **When `update` fails**, the table is unchanged; the executed notebook named in the log shows why.
* **When `check` fails**, the rows are in the table, but a check of severity `error` failed: its notebook
  shows which. The asset `analytics_database/player`, on which other DAGs start, is not published until
  `check` succeeds.
"""

from airflow.sdk import DAG

from notebook_pipeline.airflow import (
    HealthCheckOperator,
    NotebookOperator,
    check_dataset,
    choose_full_sweep,
    dag_defaults,
    notebook_params,
    report_run,
)

with DAG(
    dag_id="recurring_player_api_insert_update_dag",
    description="Insert and update players from the API since the watermark, then check the table",
    doc_md=__doc__,
    schedule="@daily",
    params=notebook_params("api_incremental_update"),
    tags=["player", "api", "notebook"],
    **dag_defaults(),
):
    check_api = HealthCheckOperator(task_id="check_api", http_conn_id="{{ params.api_conn_id }}")
    full_sweep = choose_full_sweep()
    update = NotebookOperator(
        task_id="update", input_nb="api_incremental_update", parameters={"full_sweep": full_sweep}
    )
    check_api >> full_sweep >> update >> check_dataset(update) >> report_run()
