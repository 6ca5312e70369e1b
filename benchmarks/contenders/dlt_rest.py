"""Update a table from an API with dlt's rest_api source: dlt_rest URL DATABASE."""

# pyright: reportMissingImports=false

import sys

import dlt
from dlt.sources.rest_api import rest_api_source

url, database = sys.argv[1:]


def without_performances(row: dict) -> dict:
    """Drop the nested list, which dlt would load into a second table."""
    row.pop("performances")
    return row


source = rest_api_source(
    {
        "client": {"base_url": url},
        "resources": [
            {
                "name": "player",
                "primary_key": "player_id",
                "write_disposition": "merge",
                "columns": {"last_changed_date": {"data_type": "text"}},
                "endpoint": {
                    "path": "v0/players/",
                    "paginator": {
                        "type": "offset",
                        "limit": 5_000,
                        "offset_param": "skip",
                        "limit_param": "limit",
                        "total_path": None,
                        "stop_after_empty_page": True,
                    },
                },
                "processing_steps": [{"map": without_performances}],
            }
        ],
    }
)
pipeline = dlt.pipeline(
    "updates",
    pipelines_dir=f"{database}.pipelines",
    destination=dlt.destinations.sqlalchemy(f"sqlite:///{database}"),
    dataset_name="main",
)
pipeline.run(source)
