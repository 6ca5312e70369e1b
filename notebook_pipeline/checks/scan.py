"""The SQL of checks: aggregates, all computed in one scan of the table, and offending rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.rules_and_checks import (
    AllowedValues,
    Condition,
    Glob,
    NotInFuture,
    NotNull,
    Range,
    References,
    RowCondition,
)
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


def breaks(database: Database, condition: RowCondition, today: date) -> Sql:
    """Return the SQL condition that is true for rows that break a declared condition."""
    match condition:
        case NotNull(column):
            return is_null(column)
        case AllowedValues(column, values):
            # A chain of comparisons takes half as long as NOT IN, which builds a table for every row.
            return Sql(" AND ".join(f"{column_sql(column)} <> ?" for _ in values), values)
        case Range(column, low, high):
            bounds = [("<", low), (">", high)]
            kept = [(sign, bound) for sign, bound in bounds if bound is not None]
            text = " OR ".join(f"{column_sql(column)} {sign} ?" for sign, _ in kept)
            return Sql(text or "false", tuple(bound for _, bound in kept))
        case NotInFuture(column, days):
            return Sql(f"{column_sql(column)} > ?", ((today + timedelta(days)).isoformat(),))
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
    by = f"{order}, " if order else ""
    sql = f"SELECT t.* {found.text} ORDER BY {by}{column_sql(source.dataset.key)} LIMIT {SAMPLED}"
    return database.query(sql, found.values).to_pylist()


def duplicates(source: Source, column: str) -> Sql:
    """Return the query of a column's duplicate values and the number of rows of each.

    If the source is the rows of some runs, a duplicate may be anywhere in the table.
    """
    name, table = column_sql(column), Source(source.dataset).sql.text
    touched = "" if source.runs is None else f" AND count(*) FILTER (WHERE {source.changed.text}) > 0"
    text = f"SELECT {name} AS value, count(*) AS n {table} GROUP BY 1 HAVING count({name}) > 1{touched}"
    return Sql(text, source.runs or ())


def rows_per_day(database: Database, dataset: Dataset, days: Sequence[str]) -> list[int]:
    """Return the number of rows whose cursor is each of these days (ISO, ascending).

    Each day is an aggregate of its own: for GROUP BY, SQLite would sort, in memory that grows with the table.
    """
    within = Sql(f"{column_sql(dataset.cursor)} BETWEEN ? AND ?", (days[0], days[-1]))
    found = Source(dataset).where(within)
    counts = [count(equals(dataset.cursor, day)) for day in days]
    values = [*days, *found.values]
    return list(database.execute(f"SELECT {', '.join(each.text for each in counts)} {found.text}", values)[0])


def column_sql(column: str) -> str:
    """Return a column in SQL; without `t.`, SQLite would read an unknown name as a string."""
    return f"t.{quoted(column)}"


def _ask(database: Database, source: Source, aggregates: list[Sql]) -> tuple:
    values = [value for aggregate in aggregates for value in aggregate.values]
    columns = ", ".join(aggregate.text for aggregate in aggregates)
    return database.execute(f"SELECT {columns} {source.sql.text}", [*values, *source.sql.values])[0]


def _ask_alone(database: Database, source: Source, aggregate: Sql) -> Value | PipelineError:
    try:
        return _ask(database, source, [aggregate])[0]
    except PipelineError as error:
        return error
