"""Whether the rows of an update fit the filter with which they were requested."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.number_texts import counted
from notebook_pipeline.steps.reading_moment import Cursor
from notebook_pipeline.storage.cursors import cursor_text, cursor_type
from notebook_pipeline.storage.database import Database, quoted

# An API that filters by days, or in another time zone, returns moments of the day before as well.
_TOLERANCE = timedelta(days=2)


def filter_problem(database: Database, dataset: Dataset, since: str, oldest: Cursor | None) -> str:
    """Return what is wrong with the rows requested since a cursor, or "" if nothing is.

    `oldest` is the oldest cursor received. Stored rows with the cursor `since` are expected to come back.
    """
    kind = cursor_type(dataset)
    since_value = _value(since, kind)
    if oldest is not None and _is_before(oldest, since_value):
        return (
            f"asked for rows changed since {since}, and received older ones, the oldest of "
            f"{cursor_text(oldest)}: the source does not seem to filter. Check `since` in the declaration"
        )
    if oldest is not None and not _is_before(since_value, oldest, exactly=True):
        return ""
    parameter, bound = database.bound(_bindable(since_value))
    [[stored]] = database.execute(
        f"SELECT count(*) FROM {quoted(dataset.name)} WHERE {quoted(str(dataset.cursor))} = {parameter}",
        [bound],
    )
    if not stored:
        return ""
    return (
        f"none of {counted(stored, 'stored row')} with the cursor {since} came back: unless the source has "
        "deleted them, it returns only later rows, and misses changes of that moment. Declare "
        "Since(inclusive=False)"
    )


def _value(since: str, kind: pa.DataType | None) -> Cursor:
    if pa.types.is_integer(kind):
        return int(since)
    return datetime.fromisoformat(since).replace(tzinfo=UTC) if pa.types.is_timestamp(kind) else since


def _bindable(value: Cursor) -> object:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _is_before(one: Cursor, other: Cursor, *, exactly: bool = False) -> bool:
    """Return True if a cursor is smaller than another; unless `exactly`, a moment only by _TOLERANCE."""
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one < other if exactly else other - one > _TOLERANCE
    return cursor_text(one) < cursor_text(other) if isinstance(one, str) else int(str(one)) < int(str(other))
