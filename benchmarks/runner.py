"""The cost of running a notebook, compared with plain papermill, and of many at once."""

import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat

from benchmarks.measure import Measured, measure_together
from benchmarks.programs import answers, notebook, program
from benchmarks.race import ROUNDS, Contender, Result, environment, fresh_folder, race, run_once, tell
from benchmarks.report import Goal, Section, side_by_side, table
from notebook_pipeline import settings

EMPTY = Path(__file__).with_name("empty.ipynb")
TURNS = 7
AT_ONCE = 8
SHOWN, CELLS = 10_000, 1_000
_SHOWS = f"for n in range({SHOWN}): display({{'text/plain': str(n)}}, raw=True)"
OURS, PAPERMILL = "notebook-pipeline run", "papermill"
_SUCCEEDED = "SELECT count(*) FROM pipeline_run WHERE status = 'success'"


def measure_runner() -> Iterator[Section]:
    """Measure an empty notebook alone, with papermill, and AT_ONCE times at once; then heavier ones."""
    results = _race(EMPTY, TURNS)
    alone = results[OURS].seconds
    together = [_run_together() for _ in range(ROUNDS)]
    seconds = statistics.median(run.seconds for run in together)
    bound = 2 * alone * AT_ONCE / (os.cpu_count() or 1)
    goals = [
        Goal("an empty notebook against papermill", results[OURS].over(results[PAPERMILL]), 0.5),
        Goal(
            f"{AT_ONCE} at once, all succeeding, in at most 2 × one × {AT_ONCE} / cores", seconds, bound, "s"
        ),
    ]
    about = (
        "A notebook with one empty cell. This pipeline also checks parameters, holds a lock, keeps a ledger, "
        "masks secrets, supervises the kernel, and writes a separate artefact for each run."
    )
    tables = [side_by_side(results.values(), results[PAPERMILL], 1), _together(together)]
    yield Section("Running a notebook", about, goals, tables)
    with TemporaryDirectory() as folder:
        heavy = {
            f"{SHOWN:,} displays": [_SHOWS],
            f"{CELLS:,} cells": [f"{number} + 1" for number in range(CELLS)],
        }
        raced = {
            name: _race(_written(Path(folder, f"{len(cells)}.ipynb"), cells), ROUNDS)
            for name, cells in heavy.items()
        }
    yield Section(
        "Notebooks that show or do much",
        f"One cell that displays {SHOWN:,} short texts, and {CELLS:,} cells of one sum each. This pipeline "
        "checks that every output arrived.",
        [
            Goal(f"{name} against papermill", found[OURS].over(found[PAPERMILL]), 1.2)
            for name, found in raced.items()
        ],
        [side_by_side(found.values(), found[PAPERMILL], 1) for found in raced.values()],
    )


def _race(path: Path, turns: int) -> dict[str, Result]:
    """Run a notebook with both, in turn; the first runs compile modules and read them from a cold disk."""
    ours = Contender(OURS, lambda _: notebook(path), check=answers(1, _SUCCEEDED))
    plain = Contender(PAPERMILL, lambda folder: [program("papermill"), path, folder / "executed.ipynb"])
    for contender in (ours, plain):
        run_once(contender)
    return race([plain, ours], turns)


def _written(path: Path, sources: Sequence[str]) -> Path:
    """Write a notebook of these cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def _run_together() -> Measured:
    with fresh_folder() as folder:
        measured = measure_together(
            [notebook(EMPTY)] * AT_ONCE, environment=environment(folder), folder=settings.CHECKOUT
        )
        answers(AT_ONCE, _SUCCEEDED)(folder)
    tell(f"{AT_ONCE} at once: {measured.seconds:.2f} s, CPU {measured.cpu_seconds:.2f} s")
    return measured


def _together(runs: list[Measured]) -> str:
    seconds, cpu, peak = (
        statistics.median(value)
        for value in zip(*((run.seconds, run.cpu_seconds, run.peak_bytes) for run in runs), strict=True)
    )
    line = [f"{AT_ONCE} at once, into one database", str(len(runs))]
    return table(
        ["", "runs", "seconds", "CPU s", "peak MB"],
        [[*line, f"{seconds:.2f}", f"{cpu:.2f}", f"{peak / 1e6:,.0f}"]],
    )
