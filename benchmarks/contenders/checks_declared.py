"""Run all declared checks of the player dataset, and print the seconds of the step."""

import json
import time

from notebook_pipeline.checks import run_checks
from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.declare.catalogue import get
from notebook_pipeline.storage.connect import connect

with connect(resolve(DATABASE)) as database:
    began = time.perf_counter()
    report = run_checks(database, get("player"))
    seconds = time.perf_counter() - began
print(json.dumps({"step": seconds, "checks": len(report.results)}))
