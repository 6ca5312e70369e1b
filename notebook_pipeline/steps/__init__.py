"""The functions and classes that a notebook's cells use."""

from notebook_pipeline.steps.early_end import end_run
from notebook_pipeline.steps.extract import Extract, open_api, open_bulk, open_source
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.plots import bars, changes_per_day, rows_per_day
from notebook_pipeline.steps.progress import Progress
from notebook_pipeline.steps.read_table import read_table
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.steps.session import Session, join_run

__all__ = [
    "Extract",
    "Limits",
    "Progress",
    "Session",
    "bars",
    "changes_per_day",
    "end_run",
    "join_run",
    "open_api",
    "open_bulk",
    "open_source",
    "read_table",
    "rows_per_day",
    "transaction",
]
