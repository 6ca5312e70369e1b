"""The checks that compare a measured value with those of earlier runs."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from notebook_pipeline.checks import scan
from notebook_pipeline.checks.anomalies import (
    ENOUGH,
    RECENT,
    WINDOW,
    Share,
    Usual,
    usual_count,
    usual_sample,
    usual_share,
)
from notebook_pipeline.checks.check_input import Finding, Subject
from notebook_pipeline.checks.measured_history import NULL, shares_of
from notebook_pipeline.checks.scan import ROWS, Sql
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.rules_and_checks import Side, UsualChanges, UsualMix, UsualNulls, UsualRowCount
from notebook_pipeline.number_texts import counted, percentage
from notebook_pipeline.storage.database import Database

OTHER = "other"

_NO_ROWS = Finding(True, "no rows", "anything: there are no rows to check")


def changed_yesterday(database: Database, dataset: Dataset, today: date) -> Sql:
    """Return the aggregate that counts the rows whose cursor is yesterday; the dataset must have one."""
    return scan.count(scan.on_day(database, dataset, dataset.declared_cursor(), today - timedelta(1)))


def usual_row_count(check: UsualRowCount, subject: Subject) -> Finding:
    """Check the number of rows against that of earlier runs."""
    return _compare_count(check, subject.table.count(ROWS), check.side, subject)


def usual_changes(check: UsualChanges, subject: Subject) -> Finding:
    """Check the number of rows that changed yesterday against that of earlier runs."""
    changed = subject.table.count(changed_yesterday(subject.database, subject.dataset, subject.today))
    return _compare_count(check, changed, "drop", subject)


def usual_nulls(check: UsualNulls, subject: Subject) -> Finding:
    """Check a column's share of nulls against that of earlier runs; the sample is the newest nulls."""
    null = scan.is_null(check.column)
    rows = subject.rows.count(ROWS)
    if not rows:
        return _NO_ROWS
    nulls = subject.rows.count(scan.count(null))
    percent = 100 * nulls / rows
    history = subject.history.shares(check.name, subject.scope)
    bounds = share_bounds(check, history, rows, subject.scope)
    passed, expected = True, _too_short(history)
    if bounds:
        passed = bounds.low <= percent <= bounds.high
        expected = f"{_range(bounds)} ({_basis(bounds, percentage)})"
    cursor = subject.dataset.cursor
    newest_first = f"{scan.column_sql(cursor)} DESC" if cursor else ""
    return Finding(
        passed,
        f"{percentage(percent)} of {counted(rows, 'row')}",
        expected,
        [] if passed else scan.sample(subject.database, subject.source, null, order=newest_first),
        percent,
        {NULL: nulls, OTHER: rows - nulls},
    )


def usual_mix(check: UsualMix, subject: Subject) -> Finding:
    """Check the share of each declared value of a column against that of earlier runs."""
    rows = subject.rows.count(ROWS)
    if not rows:
        return _NO_ROWS
    counts = _counts(check, subject, rows)
    mix = shares_of(counts)
    history = subject.history.mixes(check.name, subject.scope)
    bounds = {
        name: share_bounds(check, [old.get(name, Share(0.0, rows)) for old in history], rows, subject.scope)
        for name in mix
    }
    known = {name: usual for name, usual in bounds.items() if usual}
    wanted = " · ".join(
        f"{name} {usual.low:.2f} to {percentage(usual.high)}" for name, usual in known.items()
    )
    measured = " · ".join(f"{name} {percentage(share.percent)}" for name, share in mix.items())
    return Finding(
        all(usual.low <= mix[name].percent <= usual.high for name, usual in known.items()),
        f"{measured} of {counted(rows, 'row')}",
        f"{wanted} ({len(history[-WINDOW:])} earlier runs)" if known else _too_short(history),
        counts=counts,
    )


def count_bounds(check: UsualRowCount | UsualChanges, history: Sequence[float]) -> Usual | None:
    """Return the bounds for the count after a history, oldest value first."""
    return usual_count(history, tolerance_percent=check.tolerance_percent)


def share_bounds(
    check: UsualNulls | UsualMix, history: Sequence[Share], rows: int, scope: str
) -> Usual | None:
    """Return the bounds for the share of `rows` after a history, oldest value first."""
    if scope == "run":
        return usual_sample(history, rows, tolerance_points=check.tolerance_points)
    return usual_share(history, tolerance_points=check.tolerance_points)


def _counts(check: UsualMix, subject: Subject, rows: int) -> dict[str, int]:
    counts = {
        str(value): subject.rows.count(scan.count(scan.equals(check.column, value))) for value in check.values
    }
    # A declared value may itself be named "other".
    counts[OTHER] = rows - sum(counts.values()) + counts.get(OTHER, 0)
    return counts


def _compare_count(check: UsualRowCount | UsualChanges, value: int, side: Side, subject: Subject) -> Finding:
    history = subject.history.numbers(check.name)
    bounds = count_bounds(check, history)
    passed, expected = True, _too_short(history)
    if bounds:
        passed = value >= bounds.low if side == "drop" else value <= bounds.high
        limit = f"at least {_rows(bounds.low)}" if side == "drop" else f"at most {_rows(bounds.high)}"
        expected = f"{limit} ({_basis(bounds, _rows)})"
    return Finding(passed, _rows(value), expected, number=value)


def _rows(count: float) -> str:
    return counted(count, "row")


def _range(bounds: Usual) -> str:
    return f"{bounds.low:.2f} to {percentage(bounds.high)}"


def _basis(bounds: Usual, write: Callable[[float], str]) -> str:
    return f"{bounds.runs} earlier runs; median of the last {RECENT}: {write(bounds.middle)}"


def _too_short(history: Sequence[object]) -> str:
    return f"anything until there are {ENOUGH} earlier runs; {len(history)} so far"
