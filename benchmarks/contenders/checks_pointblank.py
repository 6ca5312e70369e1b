"""Run the row checks with pointblank through Ibis on the same table, and print what the step took."""

# Its types know no text columns, and it is installed for the benchmark alone.
# pyright: reportMissingImports=false, reportArgumentType=false

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import ibis
import pointblank as pb

from notebook_pipeline import settings

POSITIONS = ["QB", "RB", "WR", "TE", "K", "DEF"]

table = ibis.sqlite.connect(settings.database()).table("player")
today = settings.today()
began = time.perf_counter()
validation = (
    pb.Validate(table)
    .rows_distinct(columns_subset="player_id")
    .col_vals_ge("player_id", 0)
    .col_vals_not_null(["first_name", "last_name", "position", "last_changed_date"])
    .col_vals_regex(["first_name", "last_name"], r"\S")
    .col_vals_in_set("position", POSITIONS)
    .col_vals_regex("gsis_id", r"^00-[0-9]{7}$", na_pass=True)
    .col_vals_le("last_changed_date", (today + timedelta(1)).isoformat())
    .interrogate(collect_extracts=False)
)
seconds = time.perf_counter() - began
print(json.dumps({"step": seconds, "checks": len(validation.validation_info)}))
if not validation.all_passed():
    Path("/dev/stderr").write_text(str(validation.n_failed()))
    sys.exit(1)
