"""The datasets of children and of parents, loaded and compared when a run needs them."""

from collections.abc import Sequence
from dataclasses import dataclass

from notebook_pipeline.declare import catalogue
from notebook_pipeline.declare.child import Child
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import UsageError


@dataclass(frozen=True)
class Nested:
    """A child with the declarations of both its datasets, which fit each other."""

    child: Child
    parent: Dataset
    dataset: Dataset

    @property
    def key_of_parent(self) -> tuple[str, ...]:
        """Return the child's columns that have the parent's key, in the order of that key."""
        columns = {column: name for name, column in self.child.parent.items()}
        return tuple(columns[column] for column in self.parent.keys)


def children_of(dataset: Dataset) -> Sequence[Nested]:
    """Return the children of a dataset, whose declarations are read now.

    Raises UsageError if one of them cannot be loaded, or does not fit.
    """
    return [_nested(dataset, child) for child in dataset.children]


def parents_of(dataset: Dataset) -> Sequence[Nested]:
    """Return this dataset as a child, once for each dataset that declares it to be one of its children.

    Declarations that are wrong are passed over: they matter to runs of their own datasets only.
    """
    found: list[Nested] = []
    for parent in catalogue.declaring(dataset.name, "children"):
        for child in parent.children:
            if child.dataset == dataset.name:
                try:
                    _check(parent, child, dataset)
                except UsageError:
                    continue
                found.append(Nested(child, parent, dataset))
    return found


def _nested(parent: Dataset, child: Child) -> Nested:
    try:
        dataset = catalogue.get(child.dataset)
    except UsageError as error:
        raise UsageError(f"dataset {parent.name!r} has the child {child.dataset!r}: {error}") from None
    _check(parent, child, dataset)
    return Nested(child, parent, dataset)


def _check(parent: Dataset, child: Child, dataset: Dataset) -> None:
    """Raise UsageError if a child's dataset does not fit its parent's."""
    what = f"dataset {parent.name!r} has the child {dataset.name!r}"
    if dataset.children:
        named = ", ".join(inner.dataset for inner in dataset.children)
        raise UsageError(
            f"{what}, which has children itself ({named}); rows nested in nested rows are not supported: "
            "remove one of the two declarations"
        )
    unknown = sorted(set(child.parent) - set(dataset.schema.names))
    if unknown:
        raise UsageError(
            f"{what}, and gives it the columns {unknown}; {dataset.name!r} declares "
            f"{sorted(dataset.schema.names)}"
        )
    for name, column in child.parent.items():
        expected, found = parent.column(column).type, dataset.column(name).type
        if found != expected:
            raise UsageError(
                f"{what}, whose column {name} is declared as {found}, but takes the values of {column}, "
                f"which is declared as {expected}; declare both with the same type"
            )
