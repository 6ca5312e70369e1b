"""Write the review as static pages: an index, a page a run, a page a dataset; only what is out of date."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.review import difference, queries
from notebook_pipeline.review.charts import Point, bar_chart, line_chart
from notebook_pipeline.review.html import file_name, index_file, look, render
from notebook_pipeline.review.queries import Run
from notebook_pipeline.review.run_page import RunPages
from notebook_pipeline.review.standing import Standing, read_standing
from notebook_pipeline.review.wording import moment, status
from notebook_pipeline.running import artefacts
from notebook_pipeline.storage.database import Database

_ON_A_PAGE = 500
_IN_A_CHART = 100
_STATE = ".state.json"


@dataclass(frozen=True)
class Written:
    """Say where the index lies, how many runs it lists, and how many pages of runs were made anew."""

    index: Path
    runs: int
    rendered: int


def write_pages(*, connection: Connection | None = None, anew: bool = False) -> Written:
    """Bring `<output>/review` up to date with the ledger; `anew` makes every page again.

    Raises UsageError where there is no ledger yet.
    """
    output = settings.output()
    folder = output / "review"
    with queries.open_ledger(connection) as database, _alone(folder, output):
        runs = queries.list_runs(database)
        rendered = _write_runs(database, output, runs, anew=anew)
        _write_datasets(database, folder, runs)
    return Written(folder / "index.html", len(runs), rendered)


def write_difference(found: difference.Difference) -> Path:
    """Write the difference of two runs as a page of its own and return where it lies."""
    output = settings.output()
    names = [file_name(run["run_id"]) for run in (found.before, found.after)]
    path = output / "review/differences" / f"{names[0]}..{names[1]}.html"
    artefacts.make_private(path.parent, output)
    artefacts.write(path, render("difference.html", found=found))
    return path


@contextmanager
def _alone(folder: Path, output: Path) -> Iterator[None]:
    """Keep other processes from writing pages meanwhile; they wait."""
    for part in ("runs", "datasets"):
        artefacts.make_private(folder / part, output)
    lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write_runs(database: Database, output: Path, runs: Sequence[Run], *, anew: bool) -> int:
    """Write the pages of runs that changed since they were written, and remove those of forgotten runs."""
    folder = output / "review/runs"
    pages = RunPages(database, output)
    known = {} if anew else _read_state(output / "review" / _STATE)
    there = {path.name for path in folder.iterdir()}
    state: dict[str, str] = {}
    before: dict[tuple, Run] = {}
    rendered = 0
    for run in reversed(runs):
        name = f"{file_name(run['run_id'])}.html"
        state[name] = pages.stamp(run, status(run))
        alike = tuple(run[column] for column in queries.SAME_NOTEBOOK)
        if known.get(name) != state[name] or name not in there:
            artefacts.write(folder / name, pages.render(run, before.get(alike)))
            rendered += 1
        before[alike] = run
    for name in there - state.keys():
        (folder / name).unlink()
    artefacts.write(output / "review" / _STATE, json.dumps({"look": look(), "pages": state}))
    return rendered


def _read_state(path: Path) -> dict[str, str]:
    """Return what each page was made from, or nothing where all pages are of an older look."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        state = json.loads(path.read_bytes())
        return state["pages"] if state["look"] == look() else {}
    return {}


def _write_datasets(database: Database, folder: Path, runs: Sequence[Run]) -> None:
    standings = []
    for name in queries.distinct(database, "dataset"):
        of_dataset = [run for run in runs if run["dataset"] == name]
        standing = read_standing(database, name, of_dataset)
        page = render(
            "dataset.html", dataset=standing, charts=_charts(standing, of_dataset), runs=of_dataset[:50]
        )
        artefacts.write(folder / "datasets" / f"{file_name(name)}.html", page)
        standings.append(standing)
    _write_index(folder, runs, standings)


def _write_index(folder: Path, runs: Sequence[Run], standings: Sequence[Standing]) -> None:
    starts = range(0, max(len(runs), 1), _ON_A_PAGE)
    for page, start in enumerate(starts, 1):
        shown = runs[start : start + _ON_A_PAGE]
        text = render(
            "index.html", runs=shown, total=len(runs), page=page, pages=len(starts), datasets=standings
        )
        artefacts.write(folder / index_file(page), text)


def _charts(standing: Standing, runs: Sequence[Run]) -> list[Markup]:
    """Draw rows and durations over time, where there is anything to draw."""
    growth = [Point(when, rows) for when, rows in standing.growth]
    took = [
        Point(f"{moment(run['started_at'])[:16]} {run['notebook']}", queries.seconds(run) or 0, run["status"])
        for run in reversed(runs[:_IN_A_CHART])
    ]
    charts = [bar_chart("How long did the last runs take?", "seconds, run by run; orange: failed", took)]
    if growth:
        sentence = f"The table has {growth[-1].value:,} rows after {len(growth)} runs that wrote to it"
        charts.insert(0, line_chart(sentence, "rows in the table, after each run that wrote", growth))
    return charts
