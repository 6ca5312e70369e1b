"""The checks that look at every row: conditions, uniqueness, and queries that find offending rows."""

from datetime import date, timedelta

from notebook_pipeline.checks import scan
from notebook_pipeline.checks.check_input import Finding, Subject
from notebook_pipeline.checks.scan import ROWS, Source
from notebook_pipeline.declare.row_conditions import (
    AllowedValues,
    Condition,
    Glob,
    NotInFuture,
    NotNull,
    Range,
    References,
    RowCondition,
)
from notebook_pipeline.declare.rules_and_checks import EveryRow, NoRows, Unique
from notebook_pipeline.number_texts import counted, percentage


def every_row(check: EveryRow, subject: Subject) -> Finding:
    """Check that at most the declared number or share of rows break a condition."""
    offends = scan.breaks(subject.database, subject.dataset, check.condition, subject.today)
    bad, rows = subject.rows.count(scan.count(offends)), subject.rows.count(ROWS)
    allowed = check.max_rows if check.max_percent is None else rows * check.max_percent / 100
    passed = bad <= allowed
    return Finding(
        passed,
        f"{bad:,} of {counted(rows, 'row')} failed",
        f"{_requirement(check.condition, subject.today)} in {_how_many(check)}",
        [] if passed else scan.sample(subject.database, subject.source, offends),
        bad,
    )


def unique(check: Unique, subject: Subject) -> Finding:
    """Check that values are unique, without a scan if a key or an index on one column ensures it."""
    expected, columns = "no duplicates", check.columns
    if len(columns) == 1 and subject.database.forbids_doubles(subject.dataset.name, columns[0]):
        return Finding(True, "0 rows have duplicate values (unique index)", expected, number=0)
    duplicates = scan.duplicates(subject.source, columns)
    [[shared]] = subject.database.execute(
        f"SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM ({duplicates.text}) duplicates", duplicates.values
    )
    measured = f"{counted(shared, 'row')} have duplicate values"
    if not shared:
        return Finding(True, measured, expected, number=0)
    among, order = scan.among(columns, duplicates), ", ".join(map(scan.column_sql, columns))
    sample = scan.sample(subject.database, Source(subject.dataset), among, order=order)
    return Finding(False, measured, expected, sample, shared)


def no_rows(check: NoRows, subject: Subject) -> Finding:
    """Check that a query finds no more rows than declared."""
    [[found]] = subject.database.execute(f"SELECT count(*) FROM ({check.sql}) found")
    measured = f"{counted(found, 'row')} found"
    expected = f"at most {counted(check.max_rows, 'row')} found" if check.max_rows else "no rows found"
    if found <= check.max_rows:
        return Finding(True, measured, expected, number=found)
    sample = subject.database.query(f"SELECT * FROM ({check.sql}) found LIMIT {scan.SAMPLED}")
    return Finding(False, measured, expected, sample.to_pylist(), found)


def _how_many(check: EveryRow) -> str:
    if check.max_percent is not None:
        return f"all but {percentage(check.max_percent)} of the rows"
    return f"all but {counted(check.max_rows, 'row')}" if check.max_rows else "every row"


def _requirement(condition: RowCondition, today: date) -> str:
    match condition:
        case NotNull():
            return "a value"
        case AllowedValues(_, values):
            return f"one of {', '.join(map(str, values))}"
        case Range(_, low, None):
            return f"at least {low}"
        case Range(_, None, high):
            return f"at most {high}"
        case Range(_, low, high):
            return f"{low} to {high}"
        case NotInFuture(_, days):
            return f"at most {(today + timedelta(days)).isoformat()}"
        case Glob(_, glob):
            return f"like {glob}"
        case References(_, table, other):
            return f"a value of {table}.{other}"
        case Condition(_, sql):
            return sql
