"""The counts that the ledger keeps of a run: how many rows it read, and what became of them."""

ROW_COUNTS = (
    "rows_read",
    "rows_inserted",
    "rows_updated",
    "rows_unchanged",
    "rows_stale",
    "rows_rejected",
    "rows_deleted",
)


def short_name(count: str) -> str:
    """Return a count's name without the prefix `rows_`."""
    return count.removeprefix("rows_")
