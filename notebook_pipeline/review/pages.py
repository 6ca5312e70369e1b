"""Static review pages: an index, and a page for each run and dataset; only outdated pages are written."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from markupsafe import Markup

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.number_texts import counted
from notebook_pipeline.outputs.file_names import safe_file_name
from notebook_pipeline.outputs.output_store import Output, open_output
from notebook_pipeline.review import difference, queries
from notebook_pipeline.review.charts import Point, bar_chart, line_chart
from notebook_pipeline.review.dataset_status import DatasetStatus, read_dataset_status
from notebook_pipeline.review.html import index_file, render, templates_digest
from notebook_pipeline.review.queries import Run
from notebook_pipeline.review.run_page import RunPages
from notebook_pipeline.review.wording import moment, status
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.file_lock import open_locked

_ON_A_PAGE = 500
_IN_A_CHART = 100
_STATE = "review/.state.json"


@dataclass(frozen=True)
class Written:
    """The address of the index, the number of runs in it, and the number of run pages that were written."""

    index: str
    runs: int
    rendered: int


def write_pages(*, connection: Connection | None = None, rewrite: bool = False) -> Written:
    """Bring `<output>/review` up to date with the ledger; `rewrite` also writes pages that are up to date.

    Raises UsageError if there is no ledger yet.
    """
    output = open_output()
    with queries.open_ledger(connection) as database, _locked():
        runs = queries.list_runs(database)
        rendered = _write_runs(database, output, runs, rewrite=rewrite)
        _write_datasets(database, output, runs)
    return Written(output.address("review/index.html"), len(runs), rendered)


def write_difference(found: difference.Difference) -> str:
    """Write the difference between two runs as a separate page and return its address."""
    output = open_output()
    names = [safe_file_name(run["run_id"]) for run in (found.before, found.after)]
    key = f"review/differences/{names[0]}..{names[1]}.html"
    _write(output, key, render("difference.html", found=found))
    return output.address(key)


def _write(output: Output, key: str, page: str) -> None:
    output.prepare(key)
    output.write(key, page)


@contextmanager
def _locked() -> Iterator[None]:
    """Lock the review, so that one process of this machine at a time writes pages; the others wait."""
    folder = settings.output() / "review"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = open_locked(folder / ".lock", wait=True)
    try:
        yield
    finally:
        os.close(lock)


def _write_runs(database: Database, output: Output, runs: Sequence[Run], *, rewrite: bool) -> int:
    """Write the pages of runs that have changed, and remove those of runs no longer in the ledger."""
    pages = RunPages(database, output)
    known = {} if rewrite else _read_state(output)
    there = output.stamps("review/runs").keys()
    state: dict[str, str] = {}
    before: dict[tuple, Run] = {}
    rendered = 0
    for run in reversed(runs):
        name = f"review/runs/{safe_file_name(run['run_id'])}.html"
        state[name] = pages.stamp(run, status(run))
        alike = tuple(run[column] for column in queries.SAME_NOTEBOOK)
        if known.get(name) != state[name] or name not in there:
            _write(output, name, pages.render(run, before.get(alike)))
            rendered += 1
        before[alike] = run
    for name in there - state.keys():
        output.remove(name)
    _write(output, _STATE, json.dumps({"templates": templates_digest(), "pages": state}))
    return rendered


def _read_state(output: Output) -> dict[str, str]:
    """Return the stamp of each page, or an empty dict if the templates or the code have changed."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        state = json.loads(output.read(_STATE))
        return state["pages"] if state["templates"] == templates_digest() else {}
    return {}


def _write_datasets(database: Database, output: Output, runs: Sequence[Run]) -> None:
    statuses = []
    for name in queries.distinct(database, "dataset"):
        of_dataset = [run for run in runs if run["dataset"] == name]
        found = read_dataset_status(database, name, of_dataset)
        page = render("dataset.html", dataset=found, charts=_charts(found, of_dataset), runs=of_dataset[:50])
        _write(output, f"review/datasets/{safe_file_name(name)}.html", page)
        statuses.append(found)
    _write_index(output, runs, statuses)


def _write_index(output: Output, runs: Sequence[Run], statuses: Sequence[DatasetStatus]) -> None:
    starts = range(0, max(len(runs), 1), _ON_A_PAGE)
    for page, start in enumerate(starts, 1):
        shown = runs[start : start + _ON_A_PAGE]
        text = render(
            "index.html", runs=shown, total=len(runs), page=page, pages=len(starts), datasets=statuses
        )
        _write(output, f"review/{index_file(page)}", text)


def _charts(found: DatasetStatus, runs: Sequence[Run]) -> list[Markup]:
    """Return charts of rows and durations over time, if there is anything to draw."""
    growth = [Point(when, rows) for when, rows in found.growth]
    took = [
        Point(f"{moment(run['started_at'])[:16]} {run['notebook']}", queries.seconds(run) or 0, run["status"])
        for run in reversed(runs[:_IN_A_CHART])
    ]
    charts = [bar_chart("How long did the last runs take?", "seconds per run; orange: failed", took)]
    if growth:
        sentence = f"{counted(growth[-1].value, 'row')} in the table after {counted(len(growth), 'load')}"
        charts.insert(0, line_chart(sentence, "rows in the table after each run that wrote to it", growth))
    return charts
