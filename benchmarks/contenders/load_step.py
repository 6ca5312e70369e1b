"""Run the code of `bulk_load` without a notebook: load_step SOURCE."""

import sys

from notebook_pipeline.steps import extract, load, session

dataset, source, force = "player", sys.argv[1], False
run = session.join_run("bulk_load", globals())
bulk = extract.open_bulk(run, source, "repository_raw_url", force=force)
with load.transaction(run, bulk.origin, load.Limits()) as merge:
    merge.merge(bulk.batches)
    merge.verify()
run.finish(merge.result())
