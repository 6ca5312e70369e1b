"""The names that a source has for declared data, and the note about data that is not declared."""

from collections.abc import Iterable

from notebook_pipeline.declare.column import Family
from notebook_pipeline.declare.dataset import Dataset


def received_names(dataset: Dataset, family: Family) -> dict[str, str]:
    """Return the names under which declared columns come from a source, each with the column's own name."""
    return {column.path(family)[0]: column.name for column in dataset.columns}


def nested_names(dataset: Dataset, family: Family) -> set[str]:
    """Return the names under which the lists of children come from a source."""
    return {child.path(family)[0] for child in dataset.children if child.path(family)}


def note_undeclared(dataset: Dataset, names: Iterable[str]) -> list[str]:
    """Return a note that names the columns or fields left out, or an empty list if there are none."""
    listed = ", ".join(names)
    return [f"not declared by {dataset.name}, so not loaded: {listed}"] if listed else []
