"""### Report on the players, once they are checked

An example of how a team builds on verified data: runs whenever the asset `analytics_database/player` is
published, which happens only after no check of severity `error` has failed.

* **Reads** table `player` of the connection `analytics_database`, without keeping a writer waiting.
* **Writes** nothing but its executed notebook, which is the report.
* **It may be run again at any time.** When `explore` fails, the log names the executed
  notebook that shows why; no other DAG waits for it.
"""

from datetime import timedelta

from airflow.sdk import DAG, Asset

from notebook_pipeline.airflow import NotebookOperator, notebook_params

with DAG(
    dag_id="player_report",
    description="Answer an analyst's questions from the players that were just checked",
    doc_md=__doc__,
    schedule=Asset("analytics_database/player"),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    params=notebook_params("explore_players"),
    tags=["player", "report", "notebook"],
    default_args={
        "owner": "data-team",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(minutes=30),
    },
):
    NotebookOperator(task_id="explore", input_nb="explore_players")
