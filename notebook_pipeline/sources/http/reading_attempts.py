"""How often pages are read again if rows move between them, and what is left to do after that."""

import logging

from notebook_pipeline.declare.api_declarations import Rest
from notebook_pipeline.declare.paging import Offset
from notebook_pipeline.sources.http.completeness import (
    MiscountError,
    RowsMovedError,
    Selection,
    TotalMovedError,
)
from notebook_pipeline.sources.http.http_client import Client
from notebook_pipeline.sources.http.landing import Landing
from notebook_pipeline.sources.http.responses import RequestError

MAX_READINGS = 3

_log = logging.getLogger(__name__)


class Attempts:
    """The readings of one run, of which one in which no row moved is enough."""

    def __init__(
        self, client: Client, api: Rest, selection: Selection, landing: Landing, address: str
    ) -> None:
        self._client = client
        self._api = api
        self._selection = selection
        self._landing = landing
        self._address = address
        self._last = ""
        self._miscount = ""

    def accept(self, moved: RowsMovedError) -> str:
        """Return a note if this reading is accepted nevertheless: in an update, if only the total moved."""
        is_last = self._landing.reading >= MAX_READINGS
        if self._selection.is_sweep or not is_last or not isinstance(moved, TotalMovedError):
            return ""
        self._landing.complete()
        return f"{moved} in each reading; a row that was skipped is found by the next full sweep"

    def begin_again(self, moved: RowsMovedError) -> None:
        """Prepare the next reading; raise PipelineError if there is none, or if nothing has moved."""
        reading, said = self._landing.reading, str(moved)
        if isinstance(moved, MiscountError) and said == self._miscount:
            self._landing.begin(1)
            total = self._api.total
            where = total.endpoint or str(total.at) if total else ""
            seen = f"{said}; nothing moved between two readings"
            remedy = f"compare {self._api.endpoint} with {where}"
            raise self._client.failure(seen, remedy, self._address, "all pages") from None
        self._miscount = said if isinstance(moved, MiscountError) else ""
        self._last = said
        if reading >= MAX_READINGS:
            raise self._failure() from None
        self._landing.begin(reading + 1)
        _log.warning("%s: reading again from page 0 (%d of %d)", said, reading + 1, MAX_READINGS)

    def _failure(self) -> RequestError:
        """Return the error after the last reading; the next try starts from page 0."""
        self._landing.begin(1)
        seen = f"rows moved between the pages in each of {MAX_READINGS} readings, finally {self._last}"
        remedy = "run this at a quieter time or with a larger page_size"
        if isinstance(self._api.pages, Offset):
            remedy = f"check that the source honours {self._api.pages.offset}; if it does, {remedy}"
        return self._client.failure(seen, remedy, self._address, "pages from 0 on")
