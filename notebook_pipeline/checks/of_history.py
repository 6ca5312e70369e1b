"""Judge the checks that compare a measured value with those of earlier runs."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from notebook_pipeline.checks import scan
from notebook_pipeline.checks.anomalies import ENOUGH, RECENT, WINDOW, Usual, usual_count, usual_share
from notebook_pipeline.checks.history import write_percent, write_rows, write_shares
from notebook_pipeline.checks.scan import ROWS, Sql
from notebook_pipeline.checks.subject import Finding, Subject
from notebook_pipeline.datasets import Dataset
from notebook_pipeline.declarations import UsualChanges, UsualMix, UsualNulls, UsualRowCount

OTHER = "other"

_NOTHING_TO_LOOK_AT = Finding(True, "no rows", "anything: there is no row to look at")


def changed_yesterday(dataset: Dataset, today: date) -> Sql:
    """Return the aggregate that counts the rows which changed on the last full day."""
    return scan.count(scan.equals(dataset.cursor, (today - timedelta(1)).isoformat()))


def usual_row_count(check: UsualRowCount, subject: Subject) -> Finding:
    """Judge the number of rows by the growth so far."""
    rows = subject.table.count(ROWS)
    history = subject.history.numbers(check.name)
    bounds = usual_count(history, tolerance_percent=check.tolerance_percent)
    if bounds is None:
        return Finding(True, write_rows(rows), _too_short(history))
    if check.side == "drop":
        return Finding(rows >= bounds.low, write_rows(rows), _count_bound("at least", bounds.low, bounds))
    return Finding(rows <= bounds.high, write_rows(rows), _count_bound("at most", bounds.high, bounds))


def usual_changes(check: UsualChanges, subject: Subject) -> Finding:
    """Judge yesterday's number of changed rows by that of the days before."""
    changed = subject.table.count(changed_yesterday(subject.dataset, subject.today))
    history = subject.history.numbers(check.name)
    bounds = usual_count(history, tolerance_percent=check.tolerance_percent)
    if bounds is None:
        return Finding(True, write_rows(changed), _too_short(history))
    return Finding(changed >= bounds.low, write_rows(changed), _count_bound("at least", bounds.low, bounds))


def usual_nulls(check: UsualNulls, subject: Subject) -> Finding:
    """Judge a column's share of nulls; the newest of them are the sample."""
    null = scan.is_null(check.column)
    rows, nulls = subject.rows.count(ROWS), subject.rows.count(scan.count(null))
    if not rows:
        return _NOTHING_TO_LOOK_AT
    percent = 100 * nulls / rows
    history = subject.history.numbers(check.name, subject.scope)
    bounds = _share_bounds(history, subject, check.tolerance_points)
    if bounds is None:
        return Finding(True, write_percent(percent), _too_short(history))
    passed = bounds.low <= percent <= bounds.high
    newest_first = f"{scan.column_sql(subject.dataset.cursor)} DESC"
    return Finding(
        passed,
        write_percent(percent),
        f"{bounds.low:.2f} to {bounds.high:.2f} % ({_basis(bounds, write_percent)})",
        [] if passed else scan.sample(subject.database, subject.source, null, order=newest_first),
    )


def usual_mix(check: UsualMix, subject: Subject) -> Finding:
    """Judge the share of every value of a column."""
    if not subject.rows.count(ROWS):
        return _NOTHING_TO_LOOK_AT
    shares = _shares(check, subject)
    history = subject.history.shares(check.name, subject.scope)
    bounds = {
        name: _share_bounds([old.get(name, 0.0) for old in history], subject, check.tolerance_points)
        for name in shares
    }
    known = {name: usual for name, usual in bounds.items() if usual}
    if not known:
        return Finding(True, write_shares(shares), _too_short(history))
    wanted = " · ".join(f"{name} {usual.low:.2f} to {usual.high:.2f} %" for name, usual in known.items())
    return Finding(
        all(usual.low <= shares[name] <= usual.high for name, usual in known.items()),
        write_shares(shares),
        f"{wanted} ({len(history[-WINDOW:])} earlier runs)",
    )


def _shares(check: UsualMix, subject: Subject) -> dict[str, float]:
    rows = subject.rows.count(ROWS)
    counts = {
        value: subject.rows.count(scan.count(scan.equals(check.column, value))) for value in check.values
    }
    counts[OTHER] = rows - sum(counts.values())
    return {name: 100 * count / rows for name, count in counts.items()}


def _share_bounds(history: Sequence[float], subject: Subject, tolerance: float) -> Usual | None:
    """Return a share's bounds; over the few rows of one run it may differ by chance, over a table hardly."""
    rows = subject.rows.count(ROWS) if subject.scope == "run" else None
    return usual_share(history, tolerance_points=tolerance, rows=rows)


def _count_bound(words: str, bound: float, bounds: Usual) -> str:
    return f"{words} {write_rows(bound)} ({_basis(bounds, write_rows)})"


def _basis(bounds: Usual, write: Callable[[float], str]) -> str:
    return f"{bounds.runs} earlier runs, the last {RECENT} around {write(bounds.middle)}"


def _too_short(history: Sequence[object]) -> str:
    return f"anything: no bounds before {ENOUGH} earlier runs, {len(history)} so far"
