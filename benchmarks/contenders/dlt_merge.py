"""Merge a Parquet file with dlt into SQLite: dlt_merge SOURCE DATABASE."""

# pyright: reportMissingImports=false

import sys

import dlt
from pyarrow import parquet

source, database = sys.argv[1:]


@dlt.resource(name="player", primary_key="player_id", write_disposition="merge")
def players():
    """Yield the file's rows as Arrow batches, which dlt accepts without processing each row."""
    yield from parquet.ParquetFile(source).iter_batches()


pipeline = dlt.pipeline(
    "bulk",
    pipelines_dir=f"{database}.pipelines",
    destination=dlt.destinations.sqlalchemy(f"sqlite:///{database}"),
    dataset_name="main",
)
pipeline.run(players())
