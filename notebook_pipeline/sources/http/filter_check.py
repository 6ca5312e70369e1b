"""The check whether an API honours its filter: rows that are older than what was asked for are counted."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from notebook_pipeline.contract import received_fields
from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.neutral_types import stored_type
from notebook_pipeline.declare.dataset import Dataset

# A filter of days, or one that excludes its value, may give a day more than asked for.
_SLACK = timedelta(days=1)


class FilterCheck:
    """The number of rows that are older than the watermark `since`, of which "" excludes none."""

    def __init__(self, dataset: Dataset, since: str) -> None:
        self.older = 0
        self._since = since
        self._cursor = dataset.cursor if since else None
        if self._cursor:
            column = dataset.column(self._cursor)
            self._only_cursor = Dataset(dataset.name, [column], self._cursor)
            self._first = _first(since, stored_type(column.type))

    def add(self, batch: RawBatch) -> None:
        """Count the older rows of a batch."""
        if self._cursor is None:
            return
        if batch.columns is None:
            rows = [row for row in batch.received if isinstance(row, dict)]
            batch = RawBatch(rows, batch.position, family=batch.family)
        cursors = received_fields.convert(batch, self._only_cursor)[self._cursor].stored
        self.older += pc.sum(pc.less(cursors, self._first)).as_py() or 0

    def notes(self) -> list[str]:
        """Return a note if older rows came."""
        if not self.older:
            return []
        return [
            f"{self.older:,} rows are older than asked for ({self._since}): the API does not honour its "
            "filter, or not with this value; compare it with `since` of the dataset's Rest"
        ]


def _first(since: str, kind: pa.DataType) -> pa.Scalar:
    """Return the oldest cursor that may come, as it is stored."""
    if pa.types.is_integer(kind):
        return pa.scalar(int(since) - 1, kind)
    if pa.types.is_timestamp(kind):
        moment = datetime.fromisoformat(since).replace(tzinfo=UTC)
        return pa.scalar(max(moment, _EARLIEST + _SLACK) - _SLACK, kind)
    day = date.fromisoformat(since)
    return pa.scalar((max(day, date.min + _SLACK) - _SLACK).isoformat(), kind)


_EARLIEST = datetime.min.replace(tzinfo=UTC)
