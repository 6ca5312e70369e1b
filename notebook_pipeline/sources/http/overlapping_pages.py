"""Pages by offset of a source that is never quiet, read so that each page repeats rows of the last."""

from dataclasses import dataclass, replace
from typing import cast

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.sources.http.page_requests import Step
from notebook_pipeline.sources.http.paging_shapes import ContradictionError, Page, Shape

_MOST_PAGES_WITHOUT_NEW_ROWS = 3


@dataclass
class OverlappingShape(Shape):
    """Pages by offset that begin a few rows before the end of the last page.

    While rows keep their order, a row of the last page proves that none between the two was skipped, however
    many were inserted or deleted meanwhile. If there is none, the page is requested again from further back.
    A page of old rows only that is shorter than others is the end.
    """

    parameter: str
    overlap: int
    _keys: pa.Array | None = None
    _last_keys: pa.Array | None = None
    _back: int = 0
    _end: int = 0
    _largest: int = 0
    _idle: int = 0

    def first(self, since: str) -> Step:
        """Return the step to the first page."""
        return Step({self.parameter: 0}, since=since)

    def see(self, keys: pa.Array) -> None:
        """Take the keys of the page that `after` is called with next."""
        self._keys = keys

    def after(self, step: Step, page: Page) -> Step | None:
        """Return the step to the next page, or None if this is the last."""
        offset, keys, last_keys = cast("int", step.values[self.parameter]), self._keys, self._last_keys
        if last_keys is None:
            return self._go_on(step, offset, page.rows) if page.rows else None
        is_old = pc.is_in(keys, last_keys)
        if not page.rows or not pc.any(is_old).as_py():
            return self._further_back(step, offset)
        is_idle = pc.all(is_old).as_py()
        if is_idle and page.rows < self._largest:
            return None
        self._idle = self._idle + 1 if is_idle else 0
        if self._idle >= _MOST_PAGES_WITHOUT_NEW_ROWS:
            raise ContradictionError(
                f"page after page with the same rows; check that the source honours {self.parameter}"
            )
        return self._go_on(step, offset, page.rows)

    def _go_on(self, step: Step, offset: int, rows: int) -> Step:
        self._largest = max(self._largest, rows)
        self._last_keys, self._end = self._keys, offset + rows
        self._back = max(1, min(self.overlap, rows // 2))
        return self._at(step, max(self._end - self._back, 0))

    def _further_back(self, step: Step, offset: int) -> Step:
        if offset == 0:
            raise ContradictionError("pages in another order than before")
        self._back *= 2
        return self._at(step, max(self._end - self._back, 0))

    def _at(self, step: Step, offset: int) -> Step:
        return replace(step, values={self.parameter: offset})
