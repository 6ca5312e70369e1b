"""The declaration of one column: its name, its type, and where and how each source writes its values."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, TypeVar, cast, get_args

import pyarrow as pa

from notebook_pipeline.declare.arguments import Declaration
from notebook_pipeline.declare.column_types import objection
from notebook_pipeline.declare.value_formats import format_objection, zone_objection
from notebook_pipeline.errors import UsageError

Family = Literal["files", "api", "database", "stream"]
"""The kinds of sources between which the place and the format of a column may differ."""
FAMILIES: tuple[Family, ...] = get_args(Family)
# The names of columns in files and queries may contain dots; those of fields are joined by dots.
_OF_COLUMNS = ("files", "database")

Path = str | tuple[str, ...]
T = TypeVar("T")

# Stored with each row: the run that last changed it, and the kind of source it came from.
MARKS = ("_run_id", "_source")
# PostgreSQL truncates longer names.
MOST_BYTES = 63


@dataclass(frozen=True)
class Column(Declaration):
    """One column; `doc` describes it wherever the dataset is shown.

    `at` is where a source has the value, if not under the column's own name: the exact name of a column in a
    file or a query, or a path of fields ("team.id", or a tuple of names). `format` is how a day, a moment or
    a time is written: a pattern of Python's `datetime.strptime`, `epoch`, `epoch_ms`, `epoch_us` or, for
    days, `epoch_day`. Both may be a mapping with a value for each of `files`, `api`, `database` and `stream`.
    `zone` is the time zone of moments that are written without an offset; UTC by default.
    """

    name: str
    type: pa.DataType
    nullable: bool = True
    _: KW_ONLY
    at: Path | Mapping[str, Path] = field(default="", hash=False)
    format: str | Mapping[str, str] = field(default="", hash=False)
    zone: str = ""
    doc: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name or "\0" in self.name or len(self.name.encode()) > MOST_BYTES:
            raise UsageError(
                f"column {self.name!r}: expected a name of 1 to {MOST_BYTES} bytes without a null character"
            )
        if self.name.lower() in MARKS:
            raise UsageError(
                f"column {self.name!r}: the engine adds a column of this name to every table; choose another"
            )
        if refused := objection(self.type):
            raise UsageError(f"column {self.name!r}: {refused}")
        self._check_sources()
        for family in FAMILIES:
            self._check_path(family)
            written = self.written(family)
            if written and (refused := format_objection(written, self.type)):
                raise UsageError(f"column {self.name!r}: format={written!r}: {refused}")
        if self.zone and (refused := zone_objection(self.zone, self.type)):
            raise UsageError(f"column {self.name!r}: zone={self.zone!r}: {refused}")

    def path(self, family: Family) -> tuple[str, ...]:
        """Return where a source of this family has the column: names, each inside the one before."""
        at = _of(self.at, family, "") or self.name
        if family in _OF_COLUMNS:
            return (at if isinstance(at, str) else ".".join(at),)
        if isinstance(at, tuple) or at == self.name:
            return at if isinstance(at, tuple) else (at,)
        return tuple(at.split("."))

    def written(self, family: Family) -> str:
        """Return the format in which a source of this family writes the column, or "" for the usual one."""
        return _of(self.format, family, "")

    def _check_sources(self) -> None:
        for what, given in (("at", self.at), ("format", self.format)):
            unknown = sorted(set(given) - set(FAMILIES)) if isinstance(given, Mapping) else []
            if unknown:
                known = ", ".join(FAMILIES)
                raise UsageError(
                    f"column {self.name!r}: {what} names the sources {unknown}; expected {known}"
                )

    def _check_path(self, family: Family) -> None:
        path, at = self.path(family), _of(self.at, family, "")
        if not all(path if isinstance(at, str) else at or [""]):
            raise UsageError(
                f"column {self.name!r}: at={at!r} has an empty name; expected names such as 'a.b'"
            )
        if isinstance(at, str) and family not in _OF_COLUMNS and any(step.endswith("]") for step in path):
            raise UsageError(
                f"column {self.name!r}: at={at!r} selects items of a list, but a column has one value; name "
                "fields only, or write a name with brackets as a tuple"
            )
        if isinstance(self.at, Mapping) and family in _OF_COLUMNS and isinstance(at, tuple) and len(at) > 1:
            raise UsageError(
                f"column {self.name!r}: at={at!r} is a path, but in {family} a column has one name; "
                "expected its exact name as text"
            )


def _of(given: T | Mapping[str, T], family: Family, default: T) -> T:
    """Return the value for a family of sources: the one that is given for it, or for all of them."""
    return cast("Mapping[str, T]", given).get(family, default) if isinstance(given, Mapping) else given
