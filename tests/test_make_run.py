"""How `make run` shows what the notebooks did."""

from pathlib import Path

from sample.make_run import explanation, table

RUN = {
    "notebook": "bulk_load",
    "status": "success",
    "rows_read": 20000,
    "rows_inserted": 20000,
    "rows_updated": 0,
    "rows_unchanged": 0,
    "rows_stale": 0,
    "rows_rejected": 0,
    "started_at": "2024-09-24T00:00:00.000000+00:00",
    "finished_at": "2024-09-24T00:00:02.512345+00:00",
    "artifact": "load.ipynb",
    "error": None,
}
CHECK = {**RUN, "notebook": "data_quality", "status": "failed", "finished_at": None, "artifact": None}
CHECK |= {name: None for name in RUN if name.startswith("rows_")} | {"error": "two checks failed"}


def test_runs_are_lines_of_a_table() -> None:
    assert table([RUN, CHECK]) == [
        "notebook      status     read  inserted  updated  unchanged  stale  rejected  seconds  artefact",
        "bulk_load     success  20,000    20,000        0          0      0         0      2.5  load.ipynb",
        "data_quality  failed",
    ]


def test_a_failure_is_explained_by_the_ledger_and_the_end_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "airflow.log"
    log.write_text("12:00 [info     ] Task started\n12:01 [error    ] Task failed\nTraceback\n")
    assert explanation([RUN, CHECK], log) == [
        "data_quality failed: two checks failed",
        f"The end of {log}, without routine messages:",
        "12:01 [error    ] Task failed",
        "Traceback",
    ]
