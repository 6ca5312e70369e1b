"""The SQL of checks: aggregates, all computed in one scan of the table, and offending rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pyarrow as pa

from notebook_pipeline.declare.column_types import has_days
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.row_conditions import (
    AllowedValues,
    Bound,
    Condition,
    Glob,
    NotInFuture,
    NotNull,
    Range,
    References,
    RowCondition,
)
from notebook_pipeline.declare.rule_values import as_value
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage.database import Database, Value, quoted

SAMPLED = 20


@dataclass(frozen=True)
class Sql:
    """A piece of SQL, in which `t` is the table, and the values to bind in it."""

    text: str
    values: tuple[Value, ...] = ()


ROWS = Sql("count(*)")


@dataclass(frozen=True)
class Source:
    """The rows to check: all rows of a dataset's table, or those that some runs changed.

    The rows of runs are found by a scan, because `_run_id` has no index: with 2 million rows, an index would
    save 0.13 s a check, but make a load take 60 % longer and the file half as large again.
    """

    dataset: Dataset
    runs: tuple[str, ...] | None = None

    @property
    def changed(self) -> Sql:
        """Return the condition that a row was changed by one of the runs."""
        runs = self.runs or ()
        return Sql(f"t._run_id IN ({', '.join('?' for _ in runs)})", runs)

    @property
    def sql(self) -> Sql:
        """Return the FROM clause."""
        table = f"FROM {quoted(self.dataset.name)} t"
        return Sql(table) if self.runs is None else Sql(f"{table} WHERE {self.changed.text}", self.runs)

    def where(self, condition: Sql) -> Sql:
        """Return the FROM clause, restricted to rows for which the condition is true."""
        joint = "WHERE" if self.runs is None else "AND"
        return Sql(f"{self.sql.text} {joint} ({condition.text})", (*self.sql.values, *condition.values))


class Numbers:
    """The results of one scan by aggregate; a lookup of one that failed raises its error."""

    def __init__(self, answers: Mapping[Sql, Value | PipelineError]) -> None:
        self._answers = answers

    def __getitem__(self, wanted: Sql) -> Value:
        answer = self._answers[wanted]
        if isinstance(answer, PipelineError):
            raise answer
        return answer

    def count(self, wanted: Sql) -> int:
        """Return the result of an aggregate that is a count."""
        answer = self[wanted]
        assert isinstance(answer, int)  # noqa: S101
        return answer


def measure(database: Database, source: Source, wanted: Iterable[Sql]) -> Numbers:
    """Compute all aggregates in one query or, if that fails, one by one, so that only broken ones fail."""
    aggregates = list(dict.fromkeys(wanted))
    try:
        return Numbers(dict(zip(aggregates, _ask(database, source, aggregates), strict=True)))
    except PipelineError:
        return Numbers({aggregate: _ask_alone(database, source, aggregate) for aggregate in aggregates})


def count(condition: Sql) -> Sql:
    """Return the aggregate that counts the rows for which a condition is true."""
    return Sql(f"count(*) FILTER (WHERE {condition.text})", condition.values)


def newest(column: str) -> Sql:
    """Return the aggregate of a column's highest value."""
    return Sql(f"max({column_sql(column)})")


def is_null(column: str) -> Sql:
    """Return the condition that a column is null."""
    return Sql(f"{column_sql(column)} IS NULL")


def equals(column: str, value: Value) -> Sql:
    """Return the condition that a column has this value."""
    return Sql(f"{column_sql(column)} = ?", (value,))


def on_day(database: Database, dataset: Dataset, column: str, day: date) -> Sql:
    """Return the condition that a day is this one, or that a moment is on it, in UTC."""
    is_moment = pa.types.is_timestamp(dataset.column(column).type)
    return _between(database, dataset, column, day, day) if is_moment else equals(column, day.isoformat())


def breaks(database: Database, dataset: Dataset, condition: RowCondition, today: date) -> Sql:
    """Return the SQL condition that is true for rows that break a declared condition."""
    match condition:
        case NotNull(column):
            return is_null(column)
        case AllowedValues(column, values):
            # A chain of comparisons takes half as long as NOT IN, which builds a table for every row.
            return Sql(" AND ".join(f"{column_sql(column)} <> ?" for _ in values), values)
        case Range(column, low, high):
            bounds = [
                (sign, _bound(database, dataset, column, bound))
                for sign, bound in (("<", low), (">", high))
                if bound is not None
            ]
            text = " OR ".join(f"{column_sql(column)} {sign} {bound.text}" for sign, bound in bounds)
            return Sql(text or "false", tuple(value for _, bound in bounds for value in bound.values))
        case NotInFuture(column, days):
            return _after(database, dataset, column, today + timedelta(days))
        case Glob(column, glob):
            text, value = database.misses_glob(column_sql(column), glob)
            return Sql(text, (value,))
        case References(column, table, other):
            found = f"SELECT 1 FROM {quoted(table)} o WHERE o.{quoted(other)} = {column_sql(column)}"
            return Sql(f"{column_sql(column)} IS NOT NULL AND NOT EXISTS ({found})")
        case Condition(_, sql):
            return Sql(f"NOT ({sql})")


def sample(database: Database, source: Source, condition: Sql, order: str = "") -> list[dict[str, object]]:
    """Return the first SAMPLED rows that meet a condition, all columns, in the given order, then by key."""
    found = source.where(condition)
    keys = ", ".join(map(column_sql, source.dataset.keys))
    by = f"{order}, {keys}" if order else keys
    sql = f"SELECT t.* {found.text} ORDER BY {by} LIMIT {SAMPLED}"
    return database.query(sql, found.values).to_pylist()


def duplicates(source: Source, columns: Sequence[str]) -> Sql:
    """Return the query of the duplicate values of columns and `n`, the number of rows of each.

    If the source is the rows of some runs, a duplicate may be anywhere in the table.
    """
    names, table = ", ".join(map(column_sql, columns)), Source(source.dataset).sql.text
    known = " AND ".join(f"{column_sql(column)} IS NOT NULL" for column in columns)
    touched = "" if source.runs is None else f" AND count(*) FILTER (WHERE {source.changed.text}) > 0"
    text = (
        f"SELECT {names}, count(*) AS n {table} WHERE {known} GROUP BY {names} HAVING count(*) > 1{touched}"
    )
    return Sql(text, source.runs or ())


def among(columns: Sequence[str], found: Sql) -> Sql:
    """Return the condition that the values of columns are among those that `duplicates` finds."""
    here, there = (
        ", ".join(f"{table}.{quoted(column)}" for column in columns) for table in ("t", "duplicates")
    )
    return Sql(f"({here}) IN (SELECT {there} FROM ({found.text}) duplicates)", found.values)


def rows_per_day(database: Database, dataset: Dataset, days: Sequence[date]) -> list[int]:
    """Return the number of rows whose cursor is each of these days; 0 if it has no days.

    Each day is an aggregate of its own: for GROUP BY, SQLite would sort, in memory that grows with the table.
    """
    cursor = dataset.cursor
    if not cursor or not has_days(dataset.column(cursor).type):
        return [0] * len(days)
    found = Source(dataset).where(_between(database, dataset, cursor, days[0], days[-1]))
    counts = [count(on_day(database, dataset, cursor, day)) for day in days]
    values = [*(value for each in counts for value in each.values), *found.values]
    return list(database.execute(f"SELECT {', '.join(each.text for each in counts)} {found.text}", values)[0])


def column_sql(column: str) -> str:
    """Return a column in SQL; without `t.`, SQLite would read an unknown name as a string."""
    return f"t.{quoted(column)}"


def _bound(database: Database, dataset: Dataset, column: str, bound: Bound) -> Sql:
    """Return a declared value as the SQL that compares with a column's stored values."""
    text, value = database.bound(as_value(bound, dataset.column(column).type))
    return Sql(text, (value,))


def _midnight(database: Database, dataset: Dataset, column: str, day: date) -> Sql:
    zone = UTC if dataset.column(column).type.tz else None
    text, value = database.bound(datetime.combine(day, time(), zone))
    return Sql(text, (value,))


def _between(database: Database, dataset: Dataset, column: str, first: date, last: date) -> Sql:
    """Return the condition that a day, or the day of a moment, is between two days or one of them."""
    if not pa.types.is_timestamp(dataset.column(column).type):
        return Sql(f"{column_sql(column)} BETWEEN ? AND ?", (first.isoformat(), last.isoformat()))
    low, end = (_midnight(database, dataset, column, each) for each in (first, last + timedelta(1)))
    text = f"{column_sql(column)} >= {low.text} AND {column_sql(column)} < {end.text}"
    return Sql(text, (*low.values, *end.values))


def _after(database: Database, dataset: Dataset, column: str, last: date) -> Sql:
    """Return the condition that a day is after this one; a moment on that day is not."""
    if not pa.types.is_timestamp(dataset.column(column).type):
        return Sql(f"{column_sql(column)} > ?", (last.isoformat(),))
    end = _midnight(database, dataset, column, last + timedelta(1))
    return Sql(f"{column_sql(column)} >= {end.text}", end.values)


def _ask(database: Database, source: Source, aggregates: list[Sql]) -> tuple:
    values = [value for aggregate in aggregates for value in aggregate.values]
    columns = ", ".join(aggregate.text for aggregate in aggregates)
    return database.execute(f"SELECT {columns} {source.sql.text}", [*values, *source.sql.values])[0]


def _ask_alone(database: Database, source: Source, aggregate: Sql) -> Value | PipelineError:
    try:
        return _ask(database, source, [aggregate])[0]
    except PipelineError as error:
        return error
