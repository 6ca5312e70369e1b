"""The note about data that a source has but its dataset does not declare."""

from collections.abc import Iterable

from notebook_pipeline.declare.dataset import Dataset


def note_undeclared(dataset: Dataset, names: Iterable[str]) -> list[str]:
    """Return a note that names the columns or fields left out, or an empty list if there are none."""
    listed = ", ".join(names)
    return [f"not declared by {dataset.name}, so not loaded: {listed}"] if listed else []
