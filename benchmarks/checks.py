"""The quality checks compared with one aggregate query written by hand and with pointblank."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks import data
from benchmarks.measure import measure
from benchmarks.programs import notebook, script
from benchmarks.race import Contender, Result, environment, fresh_folder, race
from benchmarks.report import Goal, Section, megabytes, side_by_side, table
from notebook_pipeline import settings

ROWS, MORE = 2_000_000, 10_000_000
DECLARED, BY_HAND = "all declared checks", "one aggregate by hand"
POINTBLANK, COMMAND = "pointblank through Ibis", "notebook-pipeline run data_quality"


def measure_checks() -> Iterator[Section]:
    """Measure checks of tables of ROWS and of MORE rows."""
    with fresh_folder() as folder:
        _load(ROWS, folder)
        results = race(_contenders(folder))
    with fresh_folder() as folder:
        _load(MORE, folder)
        more = race([each for each in _contenders(folder) if each.name in (DECLARED, COMMAND)], 1)
    yield _section(results, more)


def _section(results: dict[str, Result], more: dict[str, Result]) -> Section:
    ours, by_hand = results[DECLARED], results[BY_HAND]
    growth = more[DECLARED].peak_bytes / ours.peak_bytes
    goals = [
        Goal("the step against one aggregate by hand", ours.over(by_hand, step="step"), 1.5),
        Goal(
            "the step, times less than pointblank",
            results[POINTBLANK].over(ours, step="step"), 10, at_least=True,
        ),
        Goal(f"peak memory at {MORE:,} rows against at {ROWS:,}", growth, 1.1),
    ]  # fmt: skip
    counts = {name: results[name].runs[0].steps["checks"] for name in (DECLARED, POINTBLANK)}
    about = (
        f"{ROWS:,} rows are already in the table. This pipeline runs the {counts[DECLARED]} checks that the "
        "player dataset declares, including those against history; the aggregate computes the same from the "
        f"same columns in one `SELECT`, with the same SQLite; pointblank runs {counts[POINTBLANK]} checks, "
        "on rows only. The step is measured inside each program, from the open database to the verdict."
    )
    tables = [side_by_side(results.values(), by_hand, ROWS), _steps(results, more)]
    return Section("Quality checks", about, goals, tables)


def _steps(results: dict[str, Result], more: dict[str, Result]) -> str:
    lines = [
        [
            name,
            f"{result.step('step'):.2f}" if "step" in result.runs[0].steps else "—",
            megabytes(result),
            megabytes(more[name]) if name in more else "—",
        ]
        for name, result in results.items()
    ]
    return table(["", "step alone, s", f"peak MB at {ROWS:,} rows", f"at {MORE:,}"], lines)


def _contenders(folder: Path) -> list[Contender]:
    """Return the contenders, all on the database in `folder`; none changes the player table."""
    there = {"NOTEBOOK_PIPELINE_OUTPUT": str(folder)}
    return [
        Contender(BY_HAND, lambda _: script("checks_by_hand"), environment=there),
        Contender(DECLARED, lambda _: script("checks_declared"), environment=there),
        Contender(COMMAND, lambda _: notebook("data_quality"), environment=there),
        Contender(POINTBLANK, lambda _: script("checks_pointblank"), environment=there, rounds=1),
    ]


def _load(rows: int, folder: Path) -> None:
    command = script("load_step", data.as_parquet(rows))
    measure(command, environment=environment(folder), folder=settings.CHECKOUT)
