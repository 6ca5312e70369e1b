"""Run the row checks with pointblank through Ibis on the same table, and print the seconds of the step."""

# pyright: reportMissingImports=false

import json
import sys
import time
from datetime import timedelta

import ibis
import pointblank as pb

from notebook_pipeline import settings

# pointblank gets single numbers from Ibis through polars, which is not needed. If polars were installed,
# every program here that opens a database through ADBC would import it.
ibis.expr.types.Scalar.to_polars = ibis.expr.types.Scalar.execute

POSITIONS = ["QB", "RB", "WR", "TE", "K", "DEF"]

table = ibis.sqlite.connect(settings.database()).table("player")
today = settings.today()
began = time.perf_counter()
validation = (
    pb.Validate(table)
    .rows_distinct(columns_subset="player_id")
    .col_vals_ge("player_id", 0)
    .col_vals_not_null(["first_name", "last_name", "position", "last_changed_date"])
    .col_vals_expr((ibis._.first_name.strip() > "") & (ibis._.last_name.strip() > ""))
    .col_vals_in_set("position", POSITIONS)
    .col_vals_regex("gsis_id", r"^00-[0-9]{7}$", na_pass=True)
    .col_vals_expr(ibis._.last_changed_date <= (today + timedelta(1)).isoformat())
    .interrogate(collect_extracts=False)
)
seconds = time.perf_counter() - began
print(json.dumps({"step": seconds, "checks": len(validation.validation_info)}))
if not validation.all_passed():
    sys.exit(f"failed: {validation.n_failed()}")
