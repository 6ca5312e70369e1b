"""The assets that announce that a dataset has passed its checks, so that other DAGs can start."""

from airflow.sdk import Asset, AssetAlias

# The outlet of a task that announces the dataset of its run: only the run knows which dataset that is.
CHECKED_DATASET = AssetAlias("analytics_database")


def dataset_asset(dataset: str) -> Asset:
    """Return the asset of a dataset: a DAG that has it as its `schedule` runs after each passed check."""
    return Asset(f"{CHECKED_DATASET.name}/{dataset}")
