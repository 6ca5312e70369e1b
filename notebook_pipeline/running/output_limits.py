"""Bound what an artefact keeps of the output of a cell and of a whole run."""

import os
from dataclasses import dataclass

from notebook_pipeline.errors import UsageError

MEGABYTE = 2**20
# Environment variable and default, in MB, of what is kept of one cell, of one run, and of a run's result.
CELL = ("NOTEBOOK_PIPELINE_CELL_OUTPUT_MB", 10.0)
RUN = ("NOTEBOOK_PIPELINE_RUN_OUTPUT_MB", 100.0)
RESULT = ("NOTEBOOK_PIPELINE_RESULT_MB", 0.25)


@dataclass(frozen=True)
class OutputLimits:
    """Bytes that are kept of one cell's outputs, of one run's, and of a run's result."""

    cell: int
    run: int
    result: int


def output_limits() -> OutputLimits:
    """Return the limits that the environment sets; raise UsageError if one is not a number of MB."""
    return OutputLimits(*(_bytes(*setting) for setting in (CELL, RUN, RESULT)))


class OutputBudget:
    """Count what the outputs of the current cell and of the run take, and what had to be left out."""

    def __init__(self, limits: OutputLimits) -> None:
        self.limits = limits
        self._cell = self._earlier_cells = 0
        self._omitted = self._omitted_bytes = 0

    def begin_cell(self) -> None:
        """Count for the next cell."""
        self._earlier_cells += self._cell
        self._cell = self._omitted = self._omitted_bytes = 0

    def clear(self) -> None:
        """Forget what the current cell had shown, which is cleared."""
        self._cell = 0

    @property
    def left(self) -> int:
        """Return how many bytes the current cell may still show."""
        return max(0, min(self.limits.cell - self._cell, self.limits.run - self._earlier_cells - self._cell))

    def take(self, size: int) -> bool:
        """Return True if an output of this size is kept; else it is counted as left out."""
        if size > self.left:
            self.omit(size)
            return False
        self._cell += size
        return True

    def omit(self, size: int) -> None:
        """Count an output, or a part of one, that is left out."""
        self._omitted += 1
        self._omitted_bytes += size

    def note(self) -> str | None:
        """Return what to say in the cell about its outputs that were left out, None if none were."""
        if not self._omitted:
            return None
        of_cell = self.limits.cell < self.limits.run - self._earlier_cells
        scope, variable, limit = (
            ("a cell", CELL[0], self.limits.cell) if of_cell else ("a run", RUN[0], self.limits.run)
        )
        return (
            f"[left out: {self._omitted_bytes / MEGABYTE:,.1f} MB of output in {self._omitted:,} pieces; "
            f"{scope} keeps at most {limit / MEGABYTE:.3g} MB, see {variable}]\n"
        )


def _bytes(variable: str, default: float) -> int:
    given = os.environ.get(variable)
    try:
        megabytes = float(given) if given else default
    except ValueError:
        megabytes = -1.0
    if not 0 <= megabytes < 1e6:
        raise UsageError(f"{variable} is {given!r}; expected a number of MB, such as {default:g}")
    return int(megabytes * MEGABYTE)
