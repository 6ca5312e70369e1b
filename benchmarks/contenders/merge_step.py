"""Time the transaction of one delta after another: merge_step SOURCE…; prints the seconds of each."""

import json
import sys
import time

from notebook_pipeline.steps import extract, session
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits


def merge_seconds(source: str) -> float:
    """Merge a file and return the seconds of the transaction, without reading the file."""
    namespace = {"dataset": "player", "source": source}
    run = session.join_run("bulk_load", namespace)
    bulk = extract.open_bulk(run, source, "repository_raw_url")
    batches = list(bulk.batches)
    began = time.perf_counter()
    with transaction(run, bulk.origin, Limits()) as merge:
        merge.merge(batches)
        merge.verify()
    seconds = time.perf_counter() - began
    if merge.merged.updated != bulk.rows:
        sys.exit(f"{source}: {merge.merged} of {bulk.rows} rows; all should have been updated")
    run.finish({})
    return seconds


print(json.dumps({"merges": [merge_seconds(source) for source in sys.argv[1:]]}))
