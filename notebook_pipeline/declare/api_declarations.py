"""The declaration of the API that a dataset is updated from: its endpoint, rows, filter and count."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

import pyarrow as pa

from notebook_pipeline.declare.arguments import Declaration
from notebook_pipeline.declare.paging import NextLink, Offset, PageNumber, Pages, SinglePage, Token
from notebook_pipeline.declare.paths import Path, refuse_bad_path
from notebook_pipeline.errors import UsageError

HEADER = "header:"
"""The beginning of a Total's `at` that names a header of the answer instead of a path in it."""

_OF_HEADER_CHARACTERS = set("!#$%&'*+-.^_`|~")


def refuse_address(declaration: str, argument: str, endpoint: str) -> None:
    """Raise UsageError if an endpoint names a host, which belongs in the connection."""
    if "://" in endpoint or endpoint.startswith("//"):
        raise UsageError(
            f"{declaration}: {argument} is {endpoint!r}; expected a path such as 'v1/things/', because the "
            "host belongs in the connection"
        )


@dataclass(frozen=True)
class Since(Declaration):
    """The parameter of an API that selects the rows changed since a cursor.

    `form` is how the API writes the cursor; `zone` is the time zone of its days and timestamps. If the filter
    selects only rows after the value (`inclusive=False`), the run asks from one unit earlier. `template` is
    the parameter's value, with `{}` where the cursor belongs.
    """

    param: str
    form: Literal["day", "timestamp", "epoch", "epoch_ms", "number"] = "day"
    inclusive: bool = True
    template: str = "{}"
    zone: str = "UTC"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.param:
            raise UsageError("Since: param is empty; expected the name of a parameter")
        if self.template.count("{}") != 1:
            raise UsageError(
                f"Since: template is {self.template!r}; expected a text with one {{}}, as 'gte.{{}}'"
            )
        try:
            ZoneInfo(self.zone)
        except (ValueError, OSError, KeyError):
            raise UsageError(
                f"Since: zone is {self.zone!r}; expected a time zone such as 'UTC' or 'Europe/Berlin'"
            ) from None


@dataclass(frozen=True)
class Total(Declaration):
    """Where an API reports how many rows it has.

    `at` is the path of the number in the response of `endpoint`, by default in each page, or the header that
    holds it, such as "header:X-Total-Count" or "header:Content-Range". The number is that of all rows
    (`everything`), whatever the filter, or that of the rows which the request selects (`answer`).
    """

    at: Path
    endpoint: str = ""
    of: Literal["everything", "answer"] = "everything"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.at, str) and self.at.startswith(HEADER):
            name = self.at.removeprefix(HEADER)
            if not name or not all(one.isalnum() or one in _OF_HEADER_CHARACTERS for one in name):
                raise UsageError(
                    f"Total: at is {self.at!r}; expected a header such as 'header:X-Total-Count'"
                )
        else:
            refuse_bad_path("Total", "at", self.at)
        refuse_address("Total", "endpoint", self.endpoint)
        if self.endpoint and self.of == "answer":
            raise UsageError(
                f"Total: the endpoint {self.endpoint!r} cannot count the rows of an answer; leave endpoint "
                "out, or use of='everything'"
            )


@dataclass(frozen=True)
class Rest(Declaration):
    """A REST API; `endpoint` is relative to the connection's address.

    `rows` is the path of the list of rows in an answer; by default the answer is the list. `query` is sent
    with each request. With a `body`, requests are POST requests with this JSON, and the names of parameters
    are paths in it. Without `since`, every update reads everything. With a `page_size` of 0, the run chooses
    it. `window` is how many rows can be reached by an offset (0: all) before the API must be asked again
    from the last cursor; then its rows must be sorted by the cursor. A response with one of the
    `end_statuses` after the first page is the end of the rows. `deleted_at` is the path of a field that marks
    a row as deleted unless it is null, false, 0 or "".
    """

    endpoint: str
    _: KW_ONLY
    conn_id: str = ""
    pages: Pages = field(default_factory=Offset)
    rows: Path = ""
    since: Since | None = None
    total: Total | None = None
    query: Mapping[str, object] = field(default_factory=dict, hash=False)
    body: Mapping[str, object] | None = field(default=None, hash=False)
    page_size: int = 0
    window: int = 0
    end_statuses: tuple[int, ...] = ()
    deleted_at: Path = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_address("Rest", "endpoint", self.endpoint)
        refuse_bad_path("Rest", "rows", self.rows, optional=True)
        refuse_bad_path("Rest", "deleted_at", self.deleted_at, optional=True)
        for name in ("page_size", "window"):
            if getattr(self, name) < 0:
                raise UsageError(f"Rest: {name} is {getattr(self, name)}; expected 0 or more rows")
        self._check_values()
        self._check_parameters()
        self._check_window()
        wrong = [status for status in self.end_statuses if not 200 < status < 500 or status == 401]
        if wrong:
            raise UsageError(
                f"Rest: end_statuses contains {wrong[0]}; expected statuses such as 204, 404 or 416"
            )

    @property
    def page_size_parameter(self) -> str:
        """Return the parameter for the number of rows per page, or "" if there is none."""
        match self.pages:
            case Offset(limit=name) | PageNumber(size=name) | Token(size=name) | NextLink(size=name):
                return name
            case SinglePage():
                return ""

    def refuse_cursor(self, dataset: str, cursor: pa.DataType | None) -> None:
        """Raise UsageError if the filter does not fit the type of the dataset's cursor, or needs one."""
        if self.since is None:
            return
        if cursor is None:
            raise UsageError(
                f"dataset {dataset!r} has no cursor, but its API has since={self.since}; declare a cursor, "
                "or leave since out: then every update reads everything"
            )
        if pa.types.is_integer(cursor) != (self.since.form == "number"):
            fitting = (
                "'number'" if pa.types.is_integer(cursor) else "'day', 'timestamp', 'epoch' or 'epoch_ms'"
            )
            raise UsageError(
                f"dataset {dataset!r}: the form of Since is {self.since.form!r}, but the cursor is a "
                f"{cursor}; "
                f"expected {fitting}"
            )

    def _check_values(self) -> None:
        for name, value in self.query.items():
            if not isinstance(name, str) or not _is_plain(value, in_list=False):
                raise UsageError(
                    f"Rest: query contains {name!r}: {value!r}; expected names with text, numbers, booleans "
                    "or lists of them"
                )
        if self.body is not None and not _is_json(self.body):
            raise UsageError(f"Rest: body is {self.body!r}; expected values that JSON can express")

    def _check_parameters(self) -> None:
        """Refuse one parameter for two purposes, of which one would be overwritten."""
        pages = self.pages
        own = [getattr(pages, name, "") for name in ("offset", "page", "param")]
        named = [*own, self.page_size_parameter, self.since.param if self.since else ""]
        given = [name for name in named if name] + ([] if self.body is not None else [*self.query])
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise UsageError(
                f"Rest: found the parameter {twice[0]!r} for two purposes; expected different parameters for "
                "pages, since and query"
            )

    def _check_window(self) -> None:
        if not self.window:
            return
        if not isinstance(self.pages, Offset):
            raise UsageError(
                f"Rest: window is {self.window}, but pages is {self.pages}; expected pages by Offset"
            )
        if self.since is None:
            raise UsageError(
                f"Rest: window is {self.window}, but since is None; expected since=Since(...), to ask again "
                "from the last cursor, and rows that the API sorts by it"
            )


def _is_plain(value: object, *, in_list: bool) -> bool:
    if isinstance(value, list | tuple) and not in_list:
        return all(_is_plain(item, in_list=True) for item in value)
    return isinstance(value, str | int | float | bool)


def _is_json(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_json(inner) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int | float | bool)
