"""The declaration of the API that a dataset is updated from: its endpoint, pages, filter and count."""

from dataclasses import KW_ONLY, dataclass

from notebook_pipeline.declare.arguments import Declaration
from notebook_pipeline.errors import UsageError


def _refuse_empty(declared: Declaration, *names: str) -> None:
    for name in names:
        if not getattr(declared, name):
            raise UsageError(f"{type(declared).__name__}: {name} is empty; expected the name of a parameter")


def _refuse_address(declared: Declaration, endpoint: str) -> None:
    if "://" in endpoint or endpoint.startswith("//"):
        raise UsageError(
            f"{type(declared).__name__}: endpoint is {endpoint!r}; expected a path such as 'v1/things/', "
            "because the host belongs in the connection"
        )


@dataclass(frozen=True)
class Offset(Declaration):
    """The query parameters of an API for the number of rows to skip and the most rows to return."""

    offset: str = "skip"
    limit: str = "limit"

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_empty(self, "offset", "limit")


@dataclass(frozen=True)
class Since(Declaration):
    """The query parameter of an API that selects rows changed on a day (YYYY-MM-DD) or later."""

    param: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_empty(self, "param")


@dataclass(frozen=True)
class Total(Declaration):
    """Where an API reports the number of all its rows, whatever the filter.

    `at` is the path of the number in the response of `endpoint`: a name, or names joined by dots.
    """

    at: str
    endpoint: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(self.at.split(".")):
            raise UsageError(f"Total: at is {self.at!r}; expected a path such as 'count' or 'meta.count'")
        _refuse_address(self, self.endpoint)


@dataclass(frozen=True)
class Rest(Declaration):
    """A REST API; `endpoint` is relative to the connection's address.

    Without `since`, every update reads everything. With a `page_size` of 0, the run chooses it.
    """

    endpoint: str
    _: KW_ONLY
    conn_id: str = ""
    pages: Offset = Offset()
    since: Since | None = None
    total: Total | None = None
    page_size: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_address(self, self.endpoint)
        if self.page_size < 0:
            raise UsageError(f"Rest: page_size is {self.page_size}; expected 0 or more rows")
