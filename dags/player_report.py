"""### Report on the players once they have been checked

An example of a DAG that builds on verified data. It runs whenever the asset `analytics_database/player` is
published, which happens only if no check of severity `error` has failed.

* **Reads** the table `player` of the connection `analytics_database`, without blocking writers.
* **Writes** nothing but its executed notebook, which is the report.
* **It may be run again at any time.** When `explore` fails, the executed notebook named in the log shows why;
  no other DAG depends on it.
"""

from airflow.sdk import DAG

from notebook_pipeline.airflow import NotebookOperator, dag_defaults, dataset_asset, notebook_params

with DAG(
    dag_id="player_report",
    description="Answer an analyst's questions from the players that were just checked",
    doc_md=__doc__,
    schedule=dataset_asset("player"),
    is_paused_upon_creation=False,
    params=notebook_params("explore_players"),
    tags=["player", "report", "notebook"],
    **dag_defaults(time_limit_minutes=30),
):
    NotebookOperator(task_id="explore", input_nb="explore_players")
