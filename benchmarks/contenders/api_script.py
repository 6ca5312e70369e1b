"""Update a table from an API with a minimal script that checks nothing: api_script URL DATABASE."""

import sqlite3
import sys

import orjson
import requests

from benchmarks.tables import PLAYER_TABLE, SETTINGS

COLUMNS = ("player_id", "gsis_id", "first_name", "last_name", "position", "last_changed_date")
UPSERT = f"""INSERT INTO player ({", ".join(COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (player_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])}"""

url, database = sys.argv[1:]
connection = sqlite3.connect(database)
for statement in (*SETTINGS, PLAYER_TABLE.replace("TABLE", "TABLE IF NOT EXISTS", 1)):
    connection.execute(statement)
skip = 0
with connection, requests.Session() as client:
    while True:
        answer = client.get(f"{url}/v0/players/", params={"skip": skip, "limit": 5_000}, timeout=60)
        rows = orjson.loads(answer.content)
        if not rows:
            break
        connection.executemany(UPSERT, [[row[name] for name in COLUMNS] for row in rows])
        skip += len(rows)
connection.close()
