"""Run the code of `api_incremental_update` without a notebook."""

from notebook_pipeline.steps import extract, session
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits

dataset = "player"
run = session.join_run("api_incremental_update", globals())
update = extract.open_api(run, "sportsworldcentral_url", page_size=5_000)
with transaction(run, update.origin, Limits()) as merge:
    merge.merge(update.batches)
    merge.compare_count(update.source_count)
    merge.verify()
run.finish(merge.result())
