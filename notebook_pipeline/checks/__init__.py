"""Quality checks of a dataset's table, as they are declared with the dataset."""

from notebook_pipeline.checks.pictures import measured_over_runs, mixes, nulls_per_column
from notebook_pipeline.checks.results import CheckResult, Report
from notebook_pipeline.checks.results_table import show_failing_rows, show_results
from notebook_pipeline.checks.run_checks import recent_changes, run_checks, save

__all__ = [
    "CheckResult",
    "Report",
    "measured_over_runs",
    "mixes",
    "nulls_per_column",
    "recent_changes",
    "run_checks",
    "save",
    "show_failing_rows",
    "show_results",
]
