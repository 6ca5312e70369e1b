"""Compute the same as the checks in one aggregate query written by hand, and print its seconds."""

import json
import time
from datetime import timedelta

from notebook_pipeline import settings
from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.storage.connect import connect

QUERY = """SELECT
    count(*),
    sum(player_id IS NULL),
    sum(player_id < 0),
    sum(gsis_id IS NULL),
    sum(gsis_id NOT GLOB '00-[0-9][0-9][0-9][0-9][0-9][0-9][0-9]'),
    sum(first_name IS NULL),
    sum(last_name IS NULL),
    sum(NOT (trim(first_name) > '' AND trim(last_name) > '')),
    sum(position IS NULL),
    sum(position NOT IN ('QB', 'RB', 'WR', 'TE', 'K', 'DEF')),
    sum(position = 'QB'), sum(position = 'RB'), sum(position = 'WR'),
    sum(position = 'TE'), sum(position = 'K'), sum(position = 'DEF'),
    sum(last_changed_date IS NULL),
    sum(last_changed_date > ?),
    sum(last_changed_date = ?),
    max(last_changed_date)
FROM player"""

with connect(resolve(DATABASE)) as database:
    today = settings.today()
    days = [(today + timedelta(days)).isoformat() for days in (1, -1)]
    began = time.perf_counter()
    database.execute(QUERY, days)
    seconds = time.perf_counter() - began
print(json.dumps({"step": seconds}))
