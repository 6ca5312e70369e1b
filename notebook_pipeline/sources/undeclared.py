"""Note what a source holds beyond what its dataset declares."""

from collections.abc import Iterable

from notebook_pipeline.declare.dataset import Dataset


def note_undeclared(dataset: Dataset, names: Iterable[str]) -> list[str]:
    """Return a note that names the columns or fields that were left out; none if there are none."""
    listed = ", ".join(names)
    return [f"{dataset.name} does not declare {listed}; it was left out"] if listed else []
