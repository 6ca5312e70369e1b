"""The moment of which a reading speaks, and the watermark that it may set, as texts of the cursor."""

from datetime import UTC, datetime

import pyarrow as pa

from notebook_pipeline import settings
from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.cursors import NO_CURSOR, cursor_text, cursor_type

Cursor = str | datetime | int


def moment_of(dataset: Dataset, origin: Origin, newest: Cursor | None) -> str:
    """Return the moment of a reading whose newest row has this cursor.

    It is the day or the time at which reading began, or the highest number read; for a bulk file, whose time
    is not known, the newest cursor in it.
    """
    kind = cursor_type(dataset)
    if kind is None:
        return NO_CURSOR
    if pa.types.is_integer(kind):
        return str(max((value for value in (origin.highest, newest) if value is not None), default=0))
    text = "" if newest is None else cursor_text(newest)
    return max(_began(origin, kind), text) if origin.kind.is_live else text


def newest_until_then(dataset: Dataset, origin: Origin, cursors: pa.Array, newest: Cursor) -> Cursor | None:
    """Return the cursor up to which these rows show that a source was read, at most until reading began.

    `newest` is the greatest of the cursors.

    A row that is dated later proves nothing about the changes up to its date. A live source was read up to
    the moment at which reading began; a file may be older than that, so its newest other row counts.
    """
    kind = cursor_type(dataset)
    if kind is None or pa.types.is_integer(kind):
        return newest
    began = _began(origin, kind)
    if cursor_text(newest) <= began:
        return newest
    until = began if pa.types.is_date(kind) else datetime.fromisoformat(began).replace(tzinfo=UTC)
    if origin.kind.is_live:
        return until
    return pc.max(cursors.filter(pc.less_equal(cursors, pa.scalar(until, cursors.type)))).as_py()


def _began(origin: Origin, kind: pa.DataType) -> str:
    if pa.types.is_date(kind):
        return origin.day or settings.today().isoformat()
    return origin.moment or cursor_text(settings.now())
