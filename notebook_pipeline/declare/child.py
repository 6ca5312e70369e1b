"""The declaration of rows that are nested in the rows of a dataset and belong to another one, its child."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import cast

from notebook_pipeline.declare.arguments import Declaration
from notebook_pipeline.declare.column import FAMILIES, Family, Path
from notebook_pipeline.errors import UsageError


@dataclass(frozen=True)
class Child(Declaration):
    """A dataset whose rows come in a list within each row of this one, their parent.

    `at` is where the list is in the parent's row: the name of a field, a path of fields ("a.b", or a tuple of
    names), or a mapping with one of these for each of `files`, `api`, `database` and `stream` that has the
    list. `parent` names the child's columns that have the value of a column of the parent's row, whatever
    the nested row says; all columns of the parent's key must be among their values.
    """

    dataset: str
    _: KW_ONLY
    at: Path | Mapping[str, Path] = field(hash=False)
    parent: Mapping[str, str] = field(hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parent:
            raise UsageError(
                f"Child: parent of {self.dataset!r} is empty; expected columns of {self.dataset!r}, each "
                "with the parent's column that it takes its value from"
            )
        unknown = sorted(set(self.at) - set(FAMILIES)) if isinstance(self.at, Mapping) else []
        if unknown:
            raise UsageError(
                f"Child: at of {self.dataset!r} names the sources {unknown}; expected {', '.join(FAMILIES)}"
            )
        given = list(self.at.values()) if isinstance(self.at, Mapping) else [self.at]
        for path in given:
            steps = path if isinstance(path, tuple) else path.split(".")
            if not steps or not all(steps) or (isinstance(path, str) and "[]" in path):
                raise UsageError(
                    f"Child: at of {self.dataset!r} is {path!r}; expected the field that has the list, such "
                    "as 'items' or 'detail.items'"
                )

    def path(self, family: Family) -> tuple[str, ...]:
        """Return where a source of this family has the list, or () if its rows have none."""
        at = cast("Mapping[str, Path]", self.at).get(family, ()) if isinstance(self.at, Mapping) else self.at
        return tuple(at.split(".")) if isinstance(at, str) else at
