"""Run contenders in turn, A B A B, so that other load on the machine affects all of them alike."""

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Measured, measure
from notebook_pipeline import settings
from notebook_pipeline.connections import FILES, Connection, variable
from sample.players import SAMPLE_TODAY

CACHE = settings.CHECKOUT / ".cache" / "benchmarks"
ROUNDS = 3

# Settings of Airflow and this pipeline in the caller's shell are dropped, and telemetry is turned off.
_OURS = ("AIRFLOW", "NOTEBOOK_PIPELINE_")
_QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DO_NOT_TRACK": "1"}


def _nothing(folder: Path) -> None:
    """Do nothing (the default of `prepare` and `check`)."""


@dataclass(frozen=True)
class Contender:
    """A program to measure; `command`, `prepare` and `check` receive the new folder of each run.

    `prepare` and `check` are not measured. `rounds` limits how often a slow program runs.
    """

    name: str
    command: Callable[[Path], Sequence[str | Path]]
    prepare: Callable[[Path], object] = _nothing
    check: Callable[[Path], object] = _nothing
    environment: Mapping[str, str] = field(default_factory=dict)
    rounds: int = sys.maxsize


@dataclass(frozen=True)
class Result:
    """All runs of one contender, in the order of the rounds."""

    name: str
    runs: Sequence[Measured]

    @property
    def seconds(self) -> float:
        """Return the median wall time."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        """Return the median CPU time."""
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def peak_bytes(self) -> float:
        """Return the median of the runs' peak memory."""
        return statistics.median(run.peak_bytes for run in self.runs)

    def step(self, name: str) -> float:
        """Return the median of what the program itself measured."""
        return statistics.median(run.steps[name] for run in self.runs)

    def over(self, other: "Result", step: str | None = None) -> float:
        """Return the ratio of times: the median of the ratios in the rounds that both ran."""

        def time(run: Measured) -> float:
            return run.steps[step] if step else run.seconds

        pairs = zip(self.runs, other.runs, strict=False)
        return statistics.median(time(mine) / time(theirs) for mine, theirs in pairs)


def race(contenders: Sequence[Contender], rounds: int = ROUNDS) -> dict[str, Result]:
    """Run every contender `rounds` times, in turn, and return the results by name."""
    runs: dict[str, list[Measured]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            if number < contender.rounds:
                runs[contender.name].append(run_once(contender))
    return {name: Result(name, measured) for name, measured in runs.items()}


def run_once(contender: Contender) -> Measured:
    """Run a contender once in a new folder, check its result, and return what it cost."""
    with fresh_folder() as folder:
        contender.prepare(folder)
        variables = {**environment(folder), **contender.environment}
        measured = measure(contender.command(folder), environment=variables, folder=settings.CHECKOUT)
        contender.check(folder)
    tell(
        f"{contender.name}: {measured.seconds:.2f} s, CPU {measured.cpu_seconds:.2f} s, "
        f"{measured.peak_bytes / 1e6:,.0f} MB {dict(measured.steps) or ''}"
    )
    return measured


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """Create an empty folder on the checkout's disk; remove it with its contents at the end."""
    root = CACHE / "work"
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of every contender, with `folder` as this pipeline's output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling modules at each start would distort the times
    return (
        kept
        | _QUIET
        | {
            "NOTEBOOK_PIPELINE_OUTPUT": str(folder),
            variable(FILES): Connection(FILES, "fs", extra={"path": str(CACHE)}).to_json(),
            "NOTEBOOK_PIPELINE_TODAY": SAMPLE_TODAY.isoformat(),
            "DLT_DATA_DIR": str(folder / "dlt"),
        }
    )


def tell(line: str) -> None:
    """Print a line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)
