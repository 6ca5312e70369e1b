"""The declarations of how an API divides its rows into pages, and how the next page is asked for."""

from dataclasses import dataclass

from notebook_pipeline.declare.arguments import Declaration
from notebook_pipeline.declare.paths import Path, refuse_bad_path
from notebook_pipeline.errors import UsageError


@dataclass(frozen=True)
class Offset(Declaration):
    """Pages by the number of rows to skip; with an empty `limit`, the server chooses the page size."""

    offset: str = "skip"
    limit: str = "limit"

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_bad_parameters(self, "offset", optional=("limit",))


@dataclass(frozen=True)
class PageNumber(Declaration):
    """Pages by their number; the first page has the number `first`."""

    page: str = "page"
    size: str = "per_page"
    first: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_bad_parameters(self, "page", optional=("size",))
        if self.first < 0:
            raise UsageError(f"PageNumber: first is {self.first}; expected 0 or more, usually 0 or 1")


@dataclass(frozen=True)
class Token(Declaration):
    """Pages by a token (also called cursor) in each answer, at the path `at`, which the next request sends.

    The answer without a token is the last, or the one in which the field at the path `more` is false.
    """

    at: Path
    param: str
    more: Path = ""
    size: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_bad_parameters(self, "param", optional=("size",))
        refuse_bad_path("Token", "at", self.at)
        refuse_bad_path("Token", "more", self.more or "more")


@dataclass(frozen=True)
class NextLink(Declaration):
    """Pages by the address of the next one, at the path `at` in each answer or in the header `Link` ("")."""

    at: Path = ""
    size: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_bad_parameters(self, optional=("size",))
        refuse_bad_path("NextLink", "at", self.at or "next")


@dataclass(frozen=True)
class SinglePage(Declaration):
    """All rows in one answer."""


Pages = Offset | PageNumber | Token | NextLink | SinglePage


def _refuse_bad_parameters(declared: Declaration, *required: str, optional: tuple[str, ...] = ()) -> None:
    kind = type(declared).__name__
    for name in required:
        if not getattr(declared, name):
            raise UsageError(f"{kind}: {name} is empty; expected the name of a parameter")
    given = [getattr(declared, name) for name in (*required, *optional) if getattr(declared, name)]
    if len(set(given)) < len(given):
        raise UsageError(f"{kind}: found the parameter {given[0]!r} twice; expected different names")
