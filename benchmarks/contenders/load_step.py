"""Run the code of `bulk_load` without a notebook: load_step SOURCE."""

import sys

from notebook_pipeline.steps import extract, session
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits

dataset, source, force = "player", sys.argv[1], False
run = session.join_run("bulk_load", globals())
bulk = extract.open_bulk(run, source, "repository_raw_url", force=force)
with transaction(run, bulk.origin, Limits()) as merge:
    merge.merge(bulk.batches)
    merge.verify()
run.finish(merge.result())
