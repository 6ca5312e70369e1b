"""A dataset's table as a DataFrame, for notebooks that only read."""

import pandas as pd

from notebook_pipeline.connections import resolve
from notebook_pipeline.declare.catalogue import get
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import quoted


def read_table(dataset: str, database_conn_id: str) -> pd.DataFrame:
    """Return all rows of a dataset's table, without waiting for writers or blocking them.

    Raises UsageError if there is no such dataset, or no database yet.
    """
    with connect(resolve(database_conn_id), read_only=True) as database:
        return database.query(f"SELECT * FROM {quoted(get(dataset).name)}").to_pandas()
