"""Run all checks of a dataset: one scan for all counts, then each check; a check with an error fails."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from notebook_pipeline import settings
from notebook_pipeline.checks import history_checks, row_checks, scan, table_checks
from notebook_pipeline.checks.check_input import Finding, Subject
from notebook_pipeline.checks.measured_history import read_history
from notebook_pipeline.checks.results import CheckResult, Report, Scope
from notebook_pipeline.checks.scan import ROWS, Source, Sql
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.rules_and_checks import (
    Check,
    EveryRow,
    Fresh,
    MatchesSource,
    NoRows,
    RejectedShare,
    RowCount,
    Unique,
    UsualChanges,
    UsualMix,
    UsualNulls,
    UsualRowCount,
)
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.database import Database


def run_checks(
    database: Database,
    dataset: Dataset,
    *,
    scope: Scope = "table",
    run_id: str = "",
    today: date | None = None,
) -> Report:
    """Run all checks of a dataset without storing anything.

    With scope `run`, row checks look only at the rows that the loads in `run_id` changed (one id or several,
    separated by spaces; by default the newest load). Checks of the table as a whole are not affected.

    Raises UsageError for an unknown scope or run.
    """
    if scope not in ("table", "run"):
        raise UsageError(f"scope is {scope!r}; expected 'table' or 'run'")
    loads = _loads(database, dataset, run_id)
    if scope == "run" and not loads:
        raise UsageError(f"the ledger has no load of {dataset.name!r} yet; run one, or use scope 'table'")
    source = Source(dataset, loads if scope == "run" else None)
    subject = _measured(database, source, scope, loads, today or settings.today())
    results = [_result(check, subject) for check in dataset.checks]
    return Report(dataset, scope, results, subject.history, *_nulls(subject))


def save(database: Database, run_id: str, report: Report) -> None:
    """Store the results of the run `run_id` in one transaction, replacing those stored before."""
    with database.transaction():
        database.execute("DELETE FROM quality_result WHERE run_id = ?", [run_id])
        ledger.save_results(
            database, run_id, report.dataset.name, [asdict(result) for result in report.results]
        )
        ledger.commit_run(database, run_id, {})


def recent_changes(database: Database, dataset: Dataset, *, days: int = 28) -> dict[date, int]:
    """Return the number of rows whose cursor is each of the last days, today included; 0 without a table."""
    last = settings.today()
    calendar = [last - timedelta(back) for back in reversed(range(days))]
    try:
        counts = scan.rows_per_day(database, dataset, calendar)
    except PipelineError:
        counts = [0] * days
    return dict(zip(calendar, counts, strict=True))


_FUNCTIONS: Mapping[type[Check], Callable[[Any, Subject], Finding]] = {
    EveryRow: row_checks.every_row,
    Unique: row_checks.unique,
    NoRows: row_checks.no_rows,
    RowCount: table_checks.row_count,
    MatchesSource: table_checks.matches_source,
    Fresh: table_checks.fresh,
    RejectedShare: table_checks.rejected_share,
    UsualRowCount: history_checks.usual_row_count,
    UsualChanges: history_checks.usual_changes,
    UsualNulls: history_checks.usual_nulls,
    UsualMix: history_checks.usual_mix,
}
_COMPARED = (UsualRowCount, UsualChanges, UsualNulls, UsualMix)


def _loads(database: Database, dataset: Dataset, run_ids: str) -> tuple[str, ...]:
    """Return the given runs or, if none is given, the newest that merged rows, if there is one."""
    if not run_ids:
        return tuple(filter(None, [ledger.last_merge(database, dataset.name)]))
    for run_id in run_ids.split():
        if ledger.get_run(database, run_id)["dataset"] != dataset.name:
            raise UsageError(f"run {run_id!r} is not a run of dataset {dataset.name!r}; give one that is")
    return tuple(run_ids.split())


def _measured(
    database: Database, source: Source, scope: Scope, loads: tuple[str, ...], today: date
) -> Subject:
    """Measure everything that checks need in one scan, or two with scope `run`: of its rows and the table."""
    dataset = source.dataset
    of_rows, of_table = [ROWS, *_null_counts(dataset)], [ROWS]
    for check in dataset.checks:
        of_rows += _asked_of_rows(database, dataset, check, today)
        of_table += _asked_of_table(database, dataset, check, today)
    if scope == "table":
        rows = table = scan.measure(database, source, [*of_rows, *of_table])
    else:
        rows = scan.measure(database, source, of_rows)
        table = scan.measure(database, Source(dataset), of_table)
    compared = [check.name for check in dataset.checks if isinstance(check, _COMPARED)]
    history = read_history(database, dataset.name, compared, loads)
    return Subject(database, source, scope, loads, today, history, rows, table)


def _asked_of_rows(database: Database, dataset: Dataset, check: Check, today: date) -> list[Sql]:
    """Return the aggregates that a check needs over the rows in scope."""
    match check:
        case EveryRow(condition):
            return [scan.count(scan.breaks(database, dataset, condition, today))]
        case UsualNulls(column):
            return [scan.count(scan.is_null(column))]
        case UsualMix(column, values):
            return [scan.count(scan.equals(column, value)) for value in values]
        case _:
            return []


def _asked_of_table(database: Database, dataset: Dataset, check: Check, today: date) -> list[Sql]:
    """Return the aggregates that a check needs over the whole table, whatever the scope."""
    match check:
        case Fresh():
            return [scan.newest(dataset.declared_cursor())]
        case UsualChanges():
            return [history_checks.changed_yesterday(database, dataset, today)]
        case _:
            return []


def _null_counts(dataset: Dataset) -> list[Sql]:
    return [scan.count(scan.is_null(column)) for column in dataset.schema.names]


def _nulls(subject: Subject) -> tuple[int, dict[str, int]]:
    """Return the number of rows in scope and the number of nulls in each column."""
    names = subject.dataset.schema.names
    try:
        nulls = {name: subject.rows.count(scan.count(scan.is_null(name))) for name in names}
        return subject.rows.count(ROWS), nulls
    except PipelineError:
        return 0, {}


def _result(check: Check, subject: Subject) -> CheckResult:
    """Return the result of one check; an error in it is a failed result."""
    try:
        finding = _FUNCTIONS[type(check)](check, subject)
    except Exception as error:
        finding = Finding(False, "could not be measured", _without_path(error, subject))
    return CheckResult(
        check.name,
        check.severity,
        finding.passed,
        finding.measured,
        finding.expected,
        json.dumps(list(finding.sample), ensure_ascii=False, default=str) if finding.sample else None,
        finding.number,
        finding.counts,
    )


def _without_path(error: Exception, subject: Subject) -> str:
    """Return the error without the database's path, which differs between machines."""
    return f"no error; the check failed with: {str(error).removeprefix(subject.database.name + ': ')}"
