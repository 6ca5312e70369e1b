"""The results of a run of all checks, as they are stored, and the verdict."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from notebook_pipeline.checks.measured_history import History
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.rules_and_checks import Severity
from notebook_pipeline.errors import DataRefused

Scope = Literal["table", "run"]


@dataclass(frozen=True)
class CheckResult:
    """One check's outcome as it is stored; `sample` is a JSON list of offending rows.

    `measured_number` and `measured_counts` are what `measured` says, for the comparison between runs: a
    number (of rows, days or percent), or the number of rows by value.
    """

    check_name: str
    severity: Severity
    passed: bool
    measured: str
    expected: str
    sample: str | None = None
    measured_number: float | None = None
    measured_counts: Mapping[str, int] | None = None

    @property
    def outcome(self) -> str:
        """Return `passed`, `warning` or `failed`."""
        return "passed" if self.passed else {"warn": "warning", "error": "failed"}[self.severity]

    @property
    def rows(self) -> list[dict[str, object]]:
        """Return the offending rows."""
        return json.loads(self.sample or "[]")


@dataclass(frozen=True)
class Report:
    """The results of all checks of a dataset, and the history they were compared with.

    `rows` is the number of rows in scope and `nulls` that of nulls in each column; they are 0 and empty if
    the table could not be read.
    """

    dataset: Dataset
    scope: Scope
    results: Sequence[CheckResult]
    history: History
    rows: int
    nulls: Mapping[str, int]

    @property
    def failed(self) -> list[CheckResult]:
        """Return the failed checks of severity `error`: those that refuse the data."""
        return [result for result in self.results if result.outcome == "failed"]

    @property
    def warnings(self) -> list[CheckResult]:
        """Return the failed checks of severity `warn`."""
        return [result for result in self.results if result.outcome == "warning"]

    def result(self, check_name: str) -> CheckResult:
        """Return one check's result by its name."""
        return next(result for result in self.results if result.check_name == check_name)

    def summary(self) -> dict[str, object]:
        """Return the verdict as the result of a run."""
        return {
            "verdict": "failed" if self.failed else "passed",
            "checks": len(self.results),
            "failed": [result.check_name for result in self.failed],
            "warnings": [result.check_name for result in self.warnings],
        }

    def refuse_failed(self) -> None:
        """Raise DataRefused, naming every failed check of severity `error`, if there is one."""
        if self.failed:
            listed = "\n".join(_complaint(result) for result in self.failed)
            raise DataRefused(
                f"{self.dataset.name}: {len(self.failed)} of {len(self.results)} checks failed\n{listed}"
            )


def _complaint(result: CheckResult) -> str:
    lines = [f"- {result.check_name}: measured {result.measured}; expected {result.expected}"]
    return "\n".join(lines + [f"    {json.dumps(row, ensure_ascii=False)}" for row in result.rows])
