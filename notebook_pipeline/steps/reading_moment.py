"""The moment of which a reading speaks, and the watermark that it may set, as texts of the cursor."""

from datetime import datetime

import pyarrow as pa

from notebook_pipeline import settings
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


def watermark_of(dataset: Dataset, origin: Origin, newest: Cursor) -> str:
    """Return the newest cursor, but no day or moment after the one at which reading began."""
    kind, text = cursor_type(dataset), cursor_text(newest)
    return text if kind is None or pa.types.is_integer(kind) else min(text, _began(origin, kind))


def _began(origin: Origin, kind: pa.DataType) -> str:
    if pa.types.is_date(kind):
        return origin.day or settings.today().isoformat()
    return origin.moment or cursor_text(settings.now())
