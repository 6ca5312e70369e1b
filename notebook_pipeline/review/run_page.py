"""The page of one run: its facts, its difference from the previous run, its executed notebook."""

from typing import Any

from notebook_pipeline.errors import PipelineError
from notebook_pipeline.outputs.output_store import Output
from notebook_pipeline.review import queries
from notebook_pipeline.review.difference import Reviewed, compare, review
from notebook_pipeline.review.html import render
from notebook_pipeline.review.notebook_html import render_cells
from notebook_pipeline.review.queries import Run
from notebook_pipeline.review.wording import missing
from notebook_pipeline.storage.database import Database

_KEPT = 8


class RunPages:
    """Renderer of the pages of runs; it caches the last notebooks, which are compared with the next."""

    def __init__(self, database: Database, output: Output) -> None:
        self._database = database
        self._output = output
        self._stamps = output.stamps("runs")
        self._recent: dict[str, Reviewed] = {}

    def render(self, run: Run, previous: Run | None) -> str:
        """Return the page of a run as HTML; a damaged artefact is reported on its page."""
        values: dict[str, Any] = {
            "run": run,
            "previous": previous,
            "rejected": queries.read_rejected(self._database, run["run_id"]),
            "missing": missing(run),
            **dict.fromkeys(("cells", "checks", "difference")),
        }
        try:
            reviewed = self._reviewed(run)
            values["checks"] = reviewed.checks
            if reviewed.notebook:
                values["cells"] = render_cells(reviewed.notebook)
            if previous:
                values["difference"] = compare(self._reviewed(previous), reviewed)
        except PipelineError as error:
            values["missing"] = str(error)
        except (AttributeError, KeyError, TypeError) as error:
            # Valid JSON, but not a notebook: report it here, and go on with the pages of other runs.
            values["missing"] = f"{queries.artefact(run)}: cannot be read as a notebook: {error!r}"
        return render("run.html", **values)

    def stamp(self, run: Run, status: str) -> str:
        """Return a stamp that changes when the page of a run is out of date."""
        return f"{status} {run['finished_at']} {self._stamps.get(run['artifact'], 'none')}"

    def _reviewed(self, run: Run) -> Reviewed:
        if run["run_id"] not in self._recent:
            self._recent[run["run_id"]] = review(self._database, self._output, run)
            if len(self._recent) > _KEPT:
                self._recent.pop(next(iter(self._recent)))
        return self._recent[run["run_id"]]
