"""The words in which a dataset says where its rows come from."""

from dataclasses import KW_ONLY, dataclass

from notebook_pipeline.declare.arguments import Declaration
from notebook_pipeline.errors import UsageError


def _refuse_empty(declared: Declaration, *names: str) -> None:
    for name in names:
        if not getattr(declared, name):
            raise UsageError(f"{type(declared).__name__}: {name} is empty; expected a parameter's name")


def _refuse_address(declared: Declaration, endpoint: str) -> None:
    if "://" in endpoint or endpoint.startswith("//"):
        raise UsageError(
            f"{type(declared).__name__}: endpoint is {endpoint!r}; expected a path such as 'v1/things/': "
            "the host belongs to the connection"
        )


@dataclass(frozen=True)
class Files(Declaration):
    """Declare that bulk files come from the place that a connection names."""

    conn_id: str = "repository_raw_url"


@dataclass(frozen=True)
class Offset(Declaration):
    """Name the query parameters by which an API skips rows, and sends so many at most."""

    offset: str = "skip"
    limit: str = "limit"

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_empty(self, "offset", "limit")


@dataclass(frozen=True)
class Since(Declaration):
    """Name the query parameter by which an API sends rows changed on a day (YYYY-MM-DD) or later."""

    param: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_empty(self, "param")


@dataclass(frozen=True)
class Total(Declaration):
    """Say where an API tells how many rows it has, whatever is asked for.

    `at` is the path of the number in what `endpoint` answers: a name, or names with dots between them.
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
    """Declare a REST API: `endpoint` is relative to the address that the connection holds.

    Without `since` every update reads everything. A `page_size` of 0 leaves it to the run.
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
