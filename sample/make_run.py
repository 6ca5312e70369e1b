"""Run both DAGs through Airflow on the sample data, and show what each notebook did (`make run`)."""

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, default
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.number_texts import in_seconds
from notebook_pipeline.outputs.output_store import open_output
from notebook_pipeline.review.queries import seconds
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.row_counts import ROW_COUNTS, short_name
from sample import api_server, players
from sample.child_processes import child, end_on_signals
from sample.demo_environment import (
    AIRFLOW_HOME,
    airflow_environment,
    alone,
    refuse_other_connections,
    sample_environment,
)

DAG_IDS = ("bulk_player_file_load", "recurring_player_api_insert_update_dag")

Row = dict[str, Any]

# Nothing is deleted from the sample.
_COUNTS = [short_name(count) for count in ROW_COUNTS if count != "rows_deleted"]
_HEADINGS = ("notebook", "status", *_COUNTS, "seconds", "artefact")
_SHOWN_LOG_LINES = 30
_ROUTINE = "[info "


def main() -> int:
    """Run the demonstration and return its exit status."""
    end_on_signals()
    try:
        refuse_other_connections()
        with alone(AIRFLOW_HOME):
            return 0 if run_demonstration() else 1
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; everything that was started has been stopped", file=sys.stderr)
        return 130


def run_demonstration(home: Path = AIRFLOW_HOME) -> bool:
    """Run both DAGs against the sample API, show what they did, and return True if both succeeded."""
    log = home / "logs" / "make-run.log"
    with api_server.running() as url:
        environment = airflow_environment(home) | sample_environment(url)
        environment["NOTEBOOK_PIPELINE_TODAY"] = players.SAMPLE_TODAY.isoformat()
        print(f"The sample API is running at {url}; Airflow logs to {log}", flush=True)
        ended = list(run_dags(environment, log))
    rows = ledger_rows(run["run_id"] for run in ended)
    print("", *table(rows), f"\nEverything is in {open_output().address()}", sep="\n")
    succeeded = [run["dag_id"] for run in ended if run["state"] == "success"] == list(DAG_IDS)
    if not succeeded:
        print("", *explanation(rows, log), sep="\n", file=sys.stderr)
    return succeeded


def run_dags(environment: Mapping[str, str], log: Path, dag_ids: Sequence[str] = DAG_IDS) -> Iterator[Row]:
    """Run DAGs in an Airflow process, print when each starts and ends, and yield those that ended."""
    for event in _events(environment, log, dag_ids):
        if event["state"] == "running":
            print(f"{event['dag_id']}: running", flush=True)
        else:
            print(f"{event['dag_id']}: {event['state']} after {in_seconds(event['seconds'])} s", flush=True)
            yield event


def ledger_rows(dag_run_ids: Iterable[str]) -> list[Row]:
    """Return the ledger's rows of these DAG runs in the order in which they started."""
    query = "SELECT * FROM pipeline_run WHERE dag_run_id = ? ORDER BY run_id"
    try:
        with connect(default(DATABASE), read_only=True) as database:
            return [row for run_id in dag_run_ids for row in database.query(query, [run_id]).to_pylist()]
    except PipelineError:
        # No run got far enough to create the database.
        return []


def table(rows: Iterable[Row]) -> list[str]:
    """Return lines of text, one per run below the headings: texts aligned left, numbers right."""
    lines = [_HEADINGS, *(tuple(map(_text, _cells(row))) for row in rows)]
    columns = [_aligned(column) for column in zip(*lines, strict=True)]
    return ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]


def _aligned(column: tuple[str, ...]) -> list[str]:
    width = max(map(len, column))
    is_number = column[0] in (*_COUNTS, "seconds")
    return [cell.rjust(width) if is_number else cell.ljust(width) for cell in column]


def explanation(rows: Iterable[Row], log: Path) -> list[str]:
    """Return what failed and why, from the ledger and the end of Airflow's output."""
    errors = [f"{row['notebook']} failed: {row['error']}" for row in rows if row["status"] == "failed"]
    with open(log, errors="replace") as output:
        last = deque((line.rstrip() for line in output if _ROUTINE not in line), _SHOWN_LOG_LINES)
    return [*errors, f"The end of {log}, without routine messages:", *last]


def _cells(row: Row) -> Iterator[object]:
    yield row["notebook"]
    yield row["status"]
    yield from (row[f"rows_{name}"] for name in _COUNTS)
    yield in_seconds(took) if (took := seconds(row)) is not None else None
    yield row["artifact"]


def _text(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _events(environment: Mapping[str, str], log: Path, dag_ids: Sequence[str]) -> Iterator[Row]:
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "sample.dag_runs", str(writing), *dag_ids]
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as output, os.fdopen(reading) as events:
        options = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        with child(command, env=environment, cwd=settings.CHECKOUT, pass_fds=[writing], **options) as airflow:
            os.close(writing)
            yield from map(json.loads, events)
            airflow.wait()


if __name__ == "__main__":
    sys.exit(main())
