"""### Load bulk player files

Loads CSV or Parquet files of players into the analytics database, then checks the table.
Run it **on demand**: for the first load, or to repair the table from a newer file.

* **Reads** the file, folder or glob that `source` in the form names, through the connection
  `repository_raw_url`.
* **Writes** the table `player` of the connection `analytics_database`. Each `load` task is one transaction.
  On PostgreSQL, several `load` tasks share many files and run in parallel; SQLite has only one writer, so one
  task loads them all.
* **It may be run again at any time**, even while the recurring DAG runs: newer rows always win, and files
  that have been loaded already change nothing (`force` reads them again).
* **When `load` fails**, none of its files has been loaded; what other `load` tasks wrote stays. If too many
  rows were rejected or a column is missing, the executed notebook named in the task's log shows which: fix
  the file, or raise the limit in the form. Airflow does not retry such a failure. It does retry a file that
  could not be fetched, in that `load` task only.
* **When `check` fails**, the rows are in the table, but a check of severity `error` failed: its notebook
  shows which. The asset `analytics_database/player`, on which other DAGs start, is not published until
  `check` succeeds.

To load another declared dataset, set `dataset` in the form: its table is written, and its asset is published.
"""

from airflow.sdk import DAG

from notebook_pipeline.airflow import (
    NotebookOperator,
    check_dataset,
    dag_defaults,
    notebook_params,
    plan_bulk_load,
    report_run,
)

with DAG(
    dag_id="bulk_player_file_load",
    description="Load a bulk file of players into the analytics database, then check the table",
    doc_md=__doc__,
    schedule=None,
    is_paused_upon_creation=False,
    params=notebook_params("bulk_load"),
    tags=["player", "bulk", "notebook"],
    **dag_defaults(),
):
    load = NotebookOperator.partial(task_id="load", input_nb="bulk_load").expand(parameters=plan_bulk_load())
    load >> check_dataset(load) >> report_run()
