"""How the cost of a bulk load grows with rows, bad rows and rows already loaded."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks import data
from benchmarks.measure import Measured, measure
from benchmarks.programs import Command, answers, holds, notebook, script
from benchmarks.race import ROUNDS, Contender, environment, fresh_folder, race, tell
from benchmarks.report import Goal, Section, side_by_side, table
from notebook_pipeline import settings

ROWS = 2_000_000
SMALL, LARGE = 100_000, 10_000_000
MERGES = 5  # in one process
_UNCHANGED = "SELECT rows_unchanged FROM pipeline_run ORDER BY run_id DESC LIMIT 1"
_REJECTED = "SELECT rows_rejected FROM pipeline_run"
FIRST, AGAIN, BAD = "Parquet", "Parquet, the same file again (force)", "Parquet, 1 % bad rows"
FIRST_CSV, BAD_CSV = "CSV", "CSV, 1 % bad rows"


def measure_repeats() -> Section:
    """Measure loading a file, the same file again, and files with bad rows."""
    results = race(_loads())
    goals = [
        Goal("the same file again against the first time", results[AGAIN].over(results[FIRST]), 1.0),
        Goal("1 % bad rows against none, Parquet", results[BAD].over(results[FIRST]), 1.1),
        Goal("1 % bad rows against none, CSV", results[BAD_CSV].over(results[FIRST_CSV]), 1.1),
    ]
    about = (
        f"`notebook-pipeline run bulk_load` of {ROWS:,} rows. Bad rows in Parquet have a position that is "
        "not allowed; in CSV, by turns, such a position, an invalid day, an invalid key or a surplus field. "
        "The first 10,000 are recorded with their content."
    )
    lines = side_by_side(results.values(), results[FIRST], ROWS)
    return Section("Bulk load again, and with bad rows", about, goals, [lines])


def measure_growth() -> Section:
    """Measure loading tables of several sizes, and merging small deltas into two of them."""
    with fresh_folder() as small, fresh_folder() as large, fresh_folder() as middle:
        loads = {
            rows: _run(notebook("bulk_load", source=data.as_parquet(rows)), folder)
            for rows, folder in ((SMALL, small), (ROWS, middle), (LARGE, large))
        }
        merges, commands = _merge_deltas({SMALL: small, LARGE: large})
    ratio = _median(merges[LARGE]) / _median(merges[SMALL])
    peaks = [loads[rows].peak_bytes for rows in (ROWS, LARGE)]
    goals = [
        Goal(f"merge step into {LARGE:,} rows against into {SMALL:,}", ratio, 1.3),
        Goal(f"peak memory at {LARGE:,} rows against at {ROWS:,}", peaks[1] / peaks[0], 1.1),
        Goal(f"peak memory at {LARGE:,} rows", peaks[1] / 1e6, 700, "MB"),
    ]
    about = (
        f"A delta is {data.DELTA:,} changed rows, spread over the whole table. The merge step is its one "
        f"transaction, from `BEGIN` to `COMMIT`: the median of {len(merges[LARGE])}. The command is the "
        "whole `notebook-pipeline run bulk_load` with the delta, which would show a scan of the table "
        "outside the merge."
    )
    return Section("How bulk loads grow", about, goals, [_sizes(loads), _deltas(merges, commands)])


def _loads() -> Sequence[Contender]:
    parquet, text = data.as_parquet(ROWS), data.as_csv(ROWS)
    bad, bad_csv = data.bad_parquet(ROWS), data.bad_csv(ROWS)
    rejects = answers(ROWS // data.BAD_EVERY, _REJECTED)
    return [
        Contender(FIRST, lambda _: notebook("bulk_load", source=parquet), check=holds(ROWS)),
        Contender(
            AGAIN,
            lambda _: notebook("bulk_load", source=parquet, force=True),
            prepare=lambda folder: _run(script("load_step", parquet), folder),
            check=answers(ROWS, _UNCHANGED),
        ),
        Contender(BAD, lambda _: notebook("bulk_load", source=bad, max_rejected_percent=2.0), check=rejects),
        Contender(FIRST_CSV, lambda _: notebook("bulk_load", source=text), check=holds(ROWS)),
        Contender(
            BAD_CSV, lambda _: notebook("bulk_load", source=bad_csv, max_rejected_percent=2.0), check=rejects
        ),
    ]


def _merge_deltas(folders: dict[int, Path]) -> tuple[dict[int, list[float]], dict[int, list[Measured]]]:
    """Merge deltas into tables of several sizes in turn; return the steps' seconds, and the commands."""
    files = {rows: data.deltas(rows, ROUNDS * (MERGES + 1)) for rows in folders}
    merges: dict[int, list[float]] = {rows: [] for rows in folders}
    commands: dict[int, list[Measured]] = {rows: [] for rows in folders}
    for turn in range(ROUNDS):
        for rows, folder in folders.items():
            first, *others = files[rows][turn * (MERGES + 1) : (turn + 1) * (MERGES + 1)]
            merges[rows] += _run(script("merge_step", *others), folder).steps["merges"]
            commands[rows].append(_run(notebook("bulk_load", source=first), folder))
    return merges, commands


def _run(command: Command, folder: Path) -> Measured:
    measured = measure(command, environment=environment(folder), folder=settings.CHECKOUT)
    name = " ".join(Path(part).name for part in command[:6])
    tell(f"{name}: {measured.seconds:.2f} s {measured.steps or ''}")
    return measured


def _sizes(loads: dict[int, Measured]) -> str:
    lines = [
        [f"{rows:,}", f"{load.seconds:.1f}", f"{load.cpu_seconds:.1f}", f"{load.peak_bytes / 1e6:,.0f}"]
        for rows, load in loads.items()
    ]
    return table(["rows from Parquet, first load", "seconds", "CPU s", "peak MB"], lines)


def _deltas(merges: dict[int, list[float]], commands: dict[int, list[Measured]]) -> str:
    lines = [
        [
            f"{rows:,}",
            f"{_median(merges[rows]) * 1000:.1f}",
            f"{_median([run.seconds for run in commands[rows]]):.2f}",
            f"{_median([run.cpu_seconds for run in commands[rows]]):.2f}",
        ]
        for rows in merges
    ]
    return table(["rows in the table", "merge step, ms", "whole command, s", "whole command, CPU s"], lines)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)
