"""Run the code of `api_incremental_update` without a notebook."""

from notebook_pipeline.steps import extract, load, session

dataset = "player"
run = session.join_run("api_incremental_update", globals())
update = extract.open_api(run, "sportsworldcentral_url", page_size=5_000)
with load.transaction(run, update.origin, load.Limits()) as merge:
    merge.merge(update.batches)
    merge.compare_count(update.source_count)
    merge.verify()
run.finish(merge.result())
