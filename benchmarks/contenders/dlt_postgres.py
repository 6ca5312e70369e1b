"""Merge the Parquet files of a folder with dlt into PostgreSQL: dlt_postgres FOLDER URL STATE."""

# pyright: reportMissingImports=false

import sys
from pathlib import Path

import dlt
from pyarrow import parquet

source, url, state = sys.argv[1:]


@dlt.resource(name="player", primary_key="player_id", write_disposition="merge")
def players():
    """Yield the files' rows as Arrow batches, which dlt accepts without processing each row."""
    for path in sorted(Path(source).iterdir()):
        yield from parquet.ParquetFile(path).iter_batches()


pipeline = dlt.pipeline(
    "bulk", pipelines_dir=state, destination=dlt.destinations.postgres(url), dataset_name="public"
)
pipeline.run(players())
