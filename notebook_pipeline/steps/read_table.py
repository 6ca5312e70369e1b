"""Read a dataset's table into a DataFrame, for notebooks that look at data and write none."""

import pandas as pd

from notebook_pipeline.connections import resolve
from notebook_pipeline.declare.catalogue import get
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import quoted


def read_table(dataset: str, database_conn_id: str) -> pd.DataFrame:
    """Return all rows of a dataset's table; reading waits for no writer and keeps none waiting.

    Raises UsageError if there is no such dataset, or no database yet.
    """
    with connect(resolve(database_conn_id), read_only=True) as database:
        return database.query(f"SELECT * FROM {quoted(get(dataset).name)}").to_pandas()
