"""Run DAGs one after the other in this process, each as a real DAG run in Airflow's metadata database.

Usage: python -m sample.dag_runs EVENTS DAG_ID… — one JSON line per step is written to the file
descriptor EVENTS; Airflow's own output goes to standard output and error.
"""

import json
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import DAG

interrupted = threading.Event()


def main() -> None:
    """Run the DAGs named on the command line, until one is interrupted."""
    # There is nothing to clean up before a DAG runs, so an interrupt may end this process at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from notebook_pipeline.airflow.watchdog import stop_with_parent
    from sample import airflow_metadata

    events, *dag_ids = sys.argv[1:]
    with stop_with_parent(), os.fdopen(int(events), "w", buffering=1) as stream:
        airflow_metadata.prepare()
        for dag_id in dag_ids:
            dag = find_dag(dag_id)
            print(json.dumps({"dag_id": dag_id, "state": "running"}), file=stream)
            signal.signal(signal.SIGINT, _interrupt)
            try:
                print(json.dumps(run_dag(dag)), file=stream)
            finally:
                airflow_metadata.close_left_runs()
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def find_dag(dag_id: str) -> "DAG":
    """Return the DAG as its file in the DAGs folder declares it."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag()
    if dag_id not in bag.dags:
        raise SystemExit(f"no DAG {dag_id!r} in {bag.dag_folder}: {bag.import_errors or sorted(bag.dags)}")
    return bag.dags[dag_id]


def run_dag(dag: "DAG") -> dict[str, Any]:
    """Run a DAG once and return how it ended; failed tasks are not retried, to save the wait."""
    for task in dag.tasks:
        task.retries = 0
    started = time.monotonic()
    run = dag.test()
    if interrupted.is_set():
        raise KeyboardInterrupt
    seconds = time.monotonic() - started
    return {"dag_id": dag.dag_id, "run_id": run.run_id, "state": str(run.state), "seconds": seconds}


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Airflow treats an interrupt as an ordinary failure of the task, and would go on.
    interrupted.set()
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
