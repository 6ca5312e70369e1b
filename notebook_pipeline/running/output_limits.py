"""Limits of the output that an artefact keeps of a cell and of a run, and of how often it is saved."""

import os
from dataclasses import dataclass

from notebook_pipeline.errors import UsageError

MEGABYTE = 2**20
# Environment variable and default, in MB, of the limits of a cell, of a run, and of a run's result.
CELL = ("NOTEBOOK_PIPELINE_CELL_OUTPUT_MB", 10.0)
RUN = ("NOTEBOOK_PIPELINE_RUN_OUTPUT_MB", 100.0)
RESULT = ("NOTEBOOK_PIPELINE_RESULT_MB", 0.25)
# Environment variable and default of the seconds between two saves; 0 saves after every step.
SAVE = ("NOTEBOOK_PIPELINE_SAVE_SECONDS", 0.25)


@dataclass(frozen=True)
class OutputLimits:
    """The maximum bytes of a cell's outputs, of a run's and of a run's result; the seconds between saves."""

    cell: int
    run: int
    result: int
    save_seconds: float = SAVE[1]


def output_limits() -> OutputLimits:
    """Return the limits that the environment sets; raise UsageError if one is invalid."""
    cell, run, result = (int(_number(*setting, "MB") * MEGABYTE) for setting in (CELL, RUN, RESULT))
    return OutputLimits(cell, run, result, _number(*SAVE, "seconds"))


class OutputBudget:
    """The bytes that outputs of the current cell and of the run take, and those that were left out."""

    def __init__(self, limits: OutputLimits) -> None:
        self.limits = limits
        self._cell = self._earlier_cells = 0
        self._omitted = self._omitted_bytes = 0

    def begin_cell(self) -> None:
        """Start counting for the next cell."""
        self._earlier_cells += self._cell
        self._cell = self._omitted = self._omitted_bytes = 0

    def clear(self) -> None:
        """Stop counting the outputs of the current cell, which were cleared."""
        self._cell = 0

    @property
    def left(self) -> int:
        """Return how many bytes the current cell may still show."""
        return max(0, min(self.limits.cell - self._cell, self.limits.run - self._earlier_cells - self._cell))

    def take(self, size: int) -> bool:
        """Return True and count an output if it fits, else count it as left out."""
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
        """Return a note for the cell on its outputs that were left out, or None if none were."""
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


def _number(variable: str, default: float, unit: str) -> float:
    given = os.environ.get(variable)
    try:
        number = float(given) if given else default
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise UsageError(f"{variable} is {given!r}; expected a number of {unit}, such as {default:g}")
    return number
