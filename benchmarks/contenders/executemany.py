"""Load a CSV file with a handwritten script and Python's sqlite3: executemany SOURCE DATABASE."""

import csv
import sqlite3
import sys

from benchmarks.tables import PLAYER_TABLE, SETTINGS

source, database = sys.argv[1:]
connection = sqlite3.connect(database)
for statement in (*SETTINGS, PLAYER_TABLE):
    connection.execute(statement)
with open(source, newline="") as file, connection:
    rows = csv.reader(file)
    next(rows)
    connection.executemany(
        "INSERT INTO player VALUES (?, ?, ?, ?, ?, ?)",
        (
            (int(player_id), gsis_id or None, first, last, position, day)
            for player_id, gsis_id, first, last, position, day in rows
        ),
    )
connection.close()
