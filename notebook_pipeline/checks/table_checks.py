"""The checks of a table as a whole against declared thresholds: volume, freshness, rejected rows."""

from datetime import date

from notebook_pipeline.checks import scan
from notebook_pipeline.checks.check_input import Finding, Subject
from notebook_pipeline.checks.measured_history import read_source_count, write_percent, write_rows
from notebook_pipeline.checks.scan import ROWS
from notebook_pipeline.declare.rules_and_checks import Fresh, MatchesSource, RejectedShare, RowCount


def row_count(check: RowCount, subject: Subject) -> Finding:
    """Check the number of rows against fixed bounds."""
    rows = subject.table.count(ROWS)
    upper = "" if check.high is None else f", at most {write_rows(check.high)}"
    passed = check.low <= rows and (check.high is None or rows <= check.high)
    return Finding(passed, write_rows(rows), f"at least {write_rows(check.low)}{upper}")


def matches_source(check: MatchesSource, subject: Subject) -> Finding:
    """Check the number of rows against the source's own, if the loads that are checked asked for it."""
    rows = subject.table.count(ROWS)
    counted = read_source_count(subject.database, subject.dataset.name)
    if counted is None or counted[0] not in subject.loads:
        return Finding(True, write_rows(rows), "anything: the last load did not count the source")
    at_source = counted[1]
    return Finding(
        abs(rows - at_source) <= at_source * check.max_percent / 100,
        write_rows(rows),
        f"{write_rows(at_source)}, as the source has, give or take {write_percent(check.max_percent)}",
    )


def fresh(check: Fresh, subject: Subject) -> Finding:
    """Check that the newest cursor is recent enough."""
    today = subject.today.isoformat()
    expected = f"at most {_days(check.max_days)} before {today}"
    newest = subject.table[scan.newest(subject.dataset.declared_cursor())]
    if newest is None:
        return Finding(False, "no rows", expected)
    day = date.fromisoformat(str(newest)[:10])
    age = (subject.today - day).days
    return Finding(age <= check.max_days, f"{day.isoformat()}, {_days(age)} before {today}", expected)


def _days(count: int) -> str:
    return f"{count:,} {'day' if count == 1 else 'days'}"


def rejected_share(check: RejectedShare, subject: Subject) -> Finding:
    """Check the share of rows that the loads rejected."""
    expected = f"at most {write_percent(check.max_percent)} of the rows of the last load"
    among = f"run_id IN ({', '.join('?' for _ in subject.loads)})"
    found = subject.loads and subject.database.execute(
        f"SELECT rows_read, rows_rejected FROM pipeline_run WHERE {among} AND rows_read IS NOT NULL",
        subject.loads,
    )
    if not found:
        return Finding(True, "no load yet", expected)
    read, rejected = map(sum, zip(*found, strict=True))
    percent = 100 * rejected / read if read else 0.0
    measured = f"{write_percent(percent)}, {rejected:,} of {write_rows(read)}"
    if percent <= check.max_percent:
        return Finding(True, measured, expected)
    sample = subject.database.query(
        f'SELECT position, "row", reasons FROM rejected_row WHERE {among} ORDER BY rowid LIMIT ?',
        [*subject.loads, scan.SAMPLED],
    )
    return Finding(False, measured, expected, sample.to_pylist())
