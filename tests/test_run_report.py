"""How the tasks of a DAG run are described at its end."""

from notebook_pipeline.airflow.run_report import describe, task_of


def test_a_notebooks_result_is_told_in_words() -> None:
    loaded = {"artifact": "runs/x.ipynb", "rows_read": 20000, "rows_inserted": 20000, "rows_updated": 0}
    assert describe(loaded) == "; read 20,000, inserted 20,000, updated 0; see runs/x.ipynb"
    checked = {"artifact": "runs/y.ipynb", "verdict": "failed", "failed": ["ids are unique"], "error": "no"}
    assert describe(checked) == "; checks failed; failed: ids are unique; no; see runs/y.ipynb"
    assert describe({"message": "up"}) == describe(None) == describe(True) == ""


def test_a_mapped_task_is_told_by_its_index() -> None:
    tasks = {"load", "load_2", "report_run"}
    assert task_of("load_0", tasks) == ("load", 0)
    assert task_of("load_2", tasks) == ("load_2", -1)
    assert task_of("load_2_11", tasks) == ("load_2", 11)
