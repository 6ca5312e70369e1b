"""Check a dataset's table by what is declared with it: one scan, a history, one verdict."""

from notebook_pipeline.checks.history import SOURCE_COUNT
from notebook_pipeline.checks.report import CheckResult, Report
from notebook_pipeline.checks.run import recent_changes, run_checks, save

__all__ = ["SOURCE_COUNT", "CheckResult", "Report", "recent_changes", "run_checks", "save"]
