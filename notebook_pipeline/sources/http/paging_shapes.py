"""How the request for the next page follows from the last answer, for each way of paging."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, cast

from notebook_pipeline.declare.api_declarations import Rest
from notebook_pipeline.declare.paging import NextLink, Offset, PageNumber, SinglePage, Token
from notebook_pipeline.declare.paths import Path
from notebook_pipeline.sources.http.answer_paths import MISSING
from notebook_pipeline.sources.http.page_requests import Step

_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^\s;=,]+\s*=\s*(?:\"[^\"]*\"|[^\s;,]*)|\s*;\s*[^\s;=,]+)*)")
_RELATION = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]*))", re.IGNORECASE)


class Page(Protocol):
    """What a page says about the next one; `rows` is the number of its rows."""

    @property
    def rows(self) -> int:
        """Return the number of its rows."""
        ...

    def value(self, path: Path) -> object:
        """Return what is at a path of the answer, or MISSING."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the answer's headers, with names in lower case."""
        ...

    def last_cursor(self) -> str:
        """Return the cursor of the last row in the form of a watermark."""
        ...


class ContradictionError(Exception):
    """An answer that says that there is a next page, but not how to ask for it."""


class Shape(ABC):
    """One way of paging.

    If rows `shift` between pages when others come or go, a key on two pages shows it; else such a key is a
    newer version of its row.
    """

    shifts: ClassVar[bool] = False

    def first(self, since: str) -> Step:
        """Return the step to the first page."""
        return Step(since=since)

    @abstractmethod
    def after(self, step: Step, page: Page) -> Step | None:
        """Return the step to the page after this one, or None if this is the last."""

    def guess(self, step: Step, rows: int) -> Step | None:
        """Return the step to the next page if this one has so many rows, or None."""
        return None


@dataclass(frozen=True)
class OffsetShape(Shape):
    """Pages by the number of rows to skip; an empty page is the end.

    With a `window`, offsets begin again with the cursor of the last row before they would pass it.
    """

    parameter: str
    page_size: int
    window: int = 0
    shifts: ClassVar[bool] = True

    def first(self, since: str) -> Step:
        """Return the step to the first page."""
        return Step({self.parameter: 0}, since=since)

    def after(self, step: Step, page: Page) -> Step | None:
        """Return the step to the page after this one, or None if this is the last."""
        if not page.rows:
            return None
        following = self._skip(step, page.rows)
        if not self.window or self._offset(following) + self.page_size <= self.window:
            return following
        cursor = page.last_cursor()
        if cursor == step.since:
            raise ContradictionError(
                f"all rows of a window of {self.window:,} rows with the cursor {cursor}, or rows that are "
                "not sorted by it"
            )
        return self.first(cursor)

    def guess(self, step: Step, rows: int) -> Step | None:
        """Return the step to the next page if this one has so many rows."""
        following = self._skip(step, rows)
        is_within = not self.window or self._offset(following) + self.page_size <= self.window
        return following if rows and is_within else None

    def _skip(self, step: Step, rows: int) -> Step:
        return replace(step, values={self.parameter: self._offset(step) + rows})

    def _offset(self, step: Step) -> int:
        return cast("int", step.values[self.parameter])


@dataclass(frozen=True)
class PageNumberShape(Shape):
    """Pages by number; an empty page is the end."""

    parameter: str
    number: int
    shifts: ClassVar[bool] = True

    def first(self, since: str) -> Step:
        """Return the step to the first page."""
        return Step({self.parameter: self.number}, since=since)

    def after(self, step: Step, page: Page) -> Step | None:
        """Return the step to the page after this one, or None if this is the last."""
        return self.guess(step, page.rows)

    def guess(self, step: Step, rows: int) -> Step | None:
        """Return the step to the next page if this one has so many rows."""
        number = cast("int", step.values[self.parameter])
        return replace(step, values={self.parameter: number + 1}) if rows else None


@dataclass(frozen=True)
class TokenShape(Shape):
    """Pages by a token in each answer."""

    pages: Token

    def after(self, step: Step, page: Page) -> Step | None:
        """Return the step to the page after this one, or None if this is the last."""
        token = page.value(self.pages.at)
        has_token = token is not MISSING and token not in (None, "", False, 0)
        if self.pages.more:
            more = page.value(self.pages.more)
            if more in (MISSING, None, False, 0, "", "false"):
                return None
            if not has_token:
                raise ContradictionError(
                    f"{more!r} at {self.pages.more!r}, but no token at {self.pages.at!r} for the next page"
                )
        if not has_token:
            return None
        if not isinstance(token, str | int | float):
            raise ContradictionError(f"{token!r} at {self.pages.at!r}, which is not a token")
        return replace(step, values={self.pages.param: token})


@dataclass(frozen=True)
class NextLinkShape(Shape):
    """Pages by the address of the next one, in the answer or in its header `Link`."""

    pages: NextLink

    def after(self, step: Step, page: Page) -> Step | None:
        """Return the step to the page after this one, or None if this is the last."""
        link = page.value(self.pages.at) if self.pages.at else next_of(page.headers.get("link", ""))
        if isinstance(link, Mapping):  # JSON:API allows an object with the address and more
            link = link.get("href")
        if link is MISSING or link in (None, "", False):
            return None
        if not isinstance(link, str):
            raise ContradictionError(f"{link!r} at {self.pages.at!r}, which is not an address")
        return Step(link=link, since=step.since)


@dataclass(frozen=True)
class SinglePageShape(Shape):
    """All rows in one answer."""

    def after(self, step: Step, page: Page) -> Step | None:
        """Return the step to the page after this one, or None if this is the last."""
        return None


def shape_of(api: Rest, page_size: int) -> Shape:
    """Return the declared way of paging."""
    match api.pages:
        case Offset(offset=parameter):
            return OffsetShape(parameter, page_size, api.window)
        case PageNumber(page=parameter, first=number):
            return PageNumberShape(parameter, number)
        case Token():
            return TokenShape(api.pages)
        case NextLink():
            return NextLinkShape(api.pages)
        case SinglePage():
            return SinglePageShape()


def next_of(header: str) -> str:
    """Return the address with the relation `next` in a header `Link` (RFC 8288), or ""."""
    for address, parameters in _LINK.findall(header):
        relations = " ".join("".join(found) for found in _RELATION.findall(parameters))
        if "next" in relations.lower().split():
            return address
    return ""
