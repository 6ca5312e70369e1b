"""The checks of a table as a whole against declared thresholds: volume, freshness, rejected rows."""

from datetime import date

from notebook_pipeline.checks import scan
from notebook_pipeline.checks.check_input import Finding, Subject
from notebook_pipeline.checks.measured_history import read_source_count
from notebook_pipeline.checks.scan import ROWS
from notebook_pipeline.declare.rules_and_checks import Fresh, MatchesSource, RejectedShare, RowCount
from notebook_pipeline.number_texts import counted, percentage


def row_count(check: RowCount, subject: Subject) -> Finding:
    """Check the number of rows against fixed bounds."""
    rows = subject.table.count(ROWS)
    upper = "" if check.high is None else f", at most {counted(check.high, 'row')}"
    passed = check.low <= rows and (check.high is None or rows <= check.high)
    return Finding(passed, counted(rows, "row"), f"at least {counted(check.low, 'row')}{upper}", number=rows)


def matches_source(check: MatchesSource, subject: Subject) -> Finding:
    """Check the number of rows against the source's own, if the loads that are checked asked for it."""
    rows = subject.table.count(ROWS)
    passed, expected = True, "anything: the last load did not ask the source for its number of rows"
    run_id, at_source = read_source_count(subject.database, subject.dataset.name) or ("", 0)
    if run_id in subject.loads:
        passed = abs(rows - at_source) <= at_source * check.max_percent / 100
        expected = f"{counted(at_source, 'row')} as in the source, ±{percentage(check.max_percent)}"
    return Finding(passed, counted(rows, "row"), expected, number=rows)


def fresh(check: Fresh, subject: Subject) -> Finding:
    """Check that the newest cursor is recent enough."""
    today = subject.today.isoformat()
    expected = f"at most {counted(check.max_days, 'day')} before {today}"
    newest = subject.table[scan.newest(subject.dataset.declared_cursor())]
    if newest is None:
        return Finding(False, "no rows", expected)
    day = date.fromisoformat(str(newest)[:10])
    age = (subject.today - day).days
    return Finding(
        age <= check.max_days,
        f"{day.isoformat()}, {counted(age, 'day')} before {today}",
        expected,
        number=age,
    )


def rejected_share(check: RejectedShare, subject: Subject) -> Finding:
    """Check the share of rows that the loads rejected."""
    expected = f"at most {percentage(check.max_percent)} of the rows of the last load"
    among = f"run_id IN ({', '.join('?' for _ in subject.loads)})"
    found = subject.loads and subject.database.execute(
        f"SELECT rows_read, rows_rejected FROM pipeline_run WHERE {among} AND rows_read IS NOT NULL",
        subject.loads,
    )
    if not found:
        return Finding(True, "no load yet", expected)
    read, rejected = map(sum, zip(*found, strict=True))
    percent = 100 * rejected / read if read else 0.0
    measured = f"{percentage(percent)}, {rejected:,} of {counted(read, 'row')}"
    if percent <= check.max_percent:
        return Finding(True, measured, expected, number=percent)
    sample = subject.database.query(
        f'SELECT position, "row", reasons FROM rejected_row WHERE {among} ORDER BY rowid LIMIT ?',
        [*subject.loads, scan.SAMPLED],
    )
    return Finding(False, measured, expected, sample.to_pylist(), percent)
