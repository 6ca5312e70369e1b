"""### Bring the player table up to date from the API

Runs **every day at midnight (UTC)**, one run at a time: asks whether the API is up, merges what has changed
since the watermark, and checks the table. The first run of a week (from Sunday on) reads everything, to find
what the source no longer has; the form's `full_sweep` does so at any time. Switched on, it brings the table
up to date at once: a run that is asked for in that moment waits half a minute for this one.

* **Reads** the API that the connection `sportsworldcentral_url` names.
* **Writes** table `player` of the connection `analytics_database`, in one transaction.
* **It may be run again at any time.** Days that were missed need no run of their own: the watermark is in the
  database, so the next run fetches everything since the last one that succeeded.
* **When `check_api` fails** the API does not answer; the log says which address, through which connection.
  Nothing was changed. It is asked three times more over some minutes; then run again once the API is back.
* **When `update` fails** the table is as it was; the executed notebook that the log names shows why.
* **When `check` fails** the rows are in, and a check of severity `error` does not hold: its notebook shows
  which. Nothing is published to those who wait for `analytics_database/player` until a check passes.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset

from notebook_pipeline.airflow import (
    HealthCheckOperator,
    NotebookOperator,
    choose_full_sweep,
    notebook_params,
    report_run,
)

with DAG(
    dag_id="recurring_player_api_insert_update_dag",
    description="Insert and update players from the API since the watermark, then check the table",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2024, 9, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=notebook_params("api_incremental_update"),
    tags=["player", "api", "notebook"],
    default_args={
        "owner": "data-team",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=1),
    },
):
    check_api = HealthCheckOperator(task_id="check_api", http_conn_id="{{ params.api_conn_id }}")
    full_sweep = choose_full_sweep()
    update = NotebookOperator(
        task_id="update",
        input_nb="api_incremental_update",
        parameters={"full_sweep": full_sweep},
    )
    check = NotebookOperator(
        task_id="check",
        input_nb="data_quality",
        parameters={"run_id": "{{ ti.xcom_pull('update')['run_id'] }}"},
        outlets=[Asset("analytics_database/player")],
    )

    check_api >> full_sweep >> update >> check >> report_run().as_teardown()
