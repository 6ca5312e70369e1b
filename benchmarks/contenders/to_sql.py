"""Load a Parquet file with pandas.to_sql: to_sql SOURCE DATABASE."""

import sqlite3
import sys

import pandas as pd

from benchmarks.tables import PLAYER_TABLE, SETTINGS

source, database = sys.argv[1:]
connection = sqlite3.connect(database)
for statement in (*SETTINGS, PLAYER_TABLE):
    connection.execute(statement)
with connection:
    pd.read_parquet(source).to_sql("player", connection, if_exists="append", index=False)
connection.close()
