"""The status of a dataset: its watermark, freshness, rows and check results, now and over its runs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from notebook_pipeline import settings
from notebook_pipeline.number_texts import counted
from notebook_pipeline.review.queries import Run, named
from notebook_pipeline.review.wording import moment, verdict
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.database import Database

_KEPT = 40


@dataclass(frozen=True)
class CheckHistory:
    """The results of one check, oldest first."""

    name: str
    results: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class DatasetStatus:
    """The status of a dataset; `growth` is (time, rows in the table) after each run that wrote to it."""

    name: str
    rows: int
    watermarks: Sequence[dict[str, Any]]
    checks: Sequence[CheckHistory]
    growth: Sequence[tuple[str, int]]

    @property
    def newest(self) -> str | None:
        """Return the newest cursor value merged from any source."""
        return max((mark["value"] for mark in self.watermarks), default=None)

    @property
    def watermark_text(self) -> str:
        """Return the watermark of each source."""
        return ", ".join(f"{mark['source']} {mark['value']}" for mark in self.watermarks) or "none yet"

    @property
    def freshness(self) -> str:
        """Return the newest cursor value and its age."""
        try:
            # The watermark of moments begins with a day, too; one that is a number has no age.
            days = (settings.today() - date.fromisoformat((self.newest or "")[:10])).days
        except ValueError:
            return self.newest or "none yet"
        return f"{self.newest}, " + (f"{counted(days, 'day')} ago" if days else "today")

    @property
    def verdict(self) -> str | None:
        """Return the worst result of the last run that checked the dataset, or None if none has."""
        last = max((check.results[-1]["run_id"] for check in self.checks), default=None)
        found = {verdict(check.results[-1]) for check in self.checks if check.results[-1]["run_id"] == last}
        return next((worst for worst in ("failed", "warning", "passed") if worst in found), None)

    @property
    def facts(self) -> list[tuple[str, object]]:
        """Return the facts that fit on one line, as names and values."""
        return [
            ("rows", self.rows),
            ("newest row", self.freshness),
            *(
                (f"watermark, {mark['source']}", f"{mark['value']}, updated {moment(mark['updated_at'])}")
                for mark in self.watermarks
            ),
        ]


def read_dataset_status(database: Database, name: str, runs: Sequence[Run]) -> DatasetStatus:
    """Return the status of a dataset; `runs` are all of its runs, newest first."""
    return DatasetStatus(
        name,
        ledger.stored_rows(database, name),
        database.query(
            "SELECT source, value, updated_at FROM watermark WHERE dataset = ? ORDER BY source DESC", [name]
        ).to_pylist(),
        _checks(database, name),
        _growth(runs),
    )


def _checks(database: Database, name: str) -> list[CheckHistory]:
    results = database.query(
        """SELECT run_id, check_name, severity, passed, measured, expected FROM quality_result
        WHERE dataset = ? AND run_id IN (
            SELECT DISTINCT run_id FROM quality_result WHERE dataset = ? ORDER BY run_id DESC LIMIT ?)
        ORDER BY run_id""",
        [name, name, _KEPT],
    ).to_pylist()
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in map(named, results):
        found[result["check_name"]].append(result)
    return [CheckHistory(check, of_check) for check, of_check in sorted(found.items())]


def _growth(runs: Sequence[Run]) -> list[tuple[str, int]]:
    """Return the number of rows in the table after each of the last runs that wrote to it."""
    rows, growth = 0, []
    wrote = [run for run in runs if run["committed_at"] and run["rows_read"] is not None]
    for run in sorted(wrote, key=lambda run: run["committed_at"]):
        rows += (run["rows_inserted"] or 0) - (run["rows_deleted"] or 0)
        growth.append((moment(run["committed_at"])[:16], rows))
    return growth[-10 * _KEPT :]
