"""A row means the same however it arrives; each engine gives back, sorts and compares what it was given."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import databases
import every_type
import pyarrow as pa
import pytest
from every_type import EVERY, EXTREMES, ROWS, Row
from hypothesis import given, settings

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.check_batch import check_batch, stored_schema
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database, quoted
from tests.bulk_data import TODAY

NAMES = EVERY.schema.names
# JSON has no order in SQL, and its text in PostgreSQL is the server's own.
ORDERED = [name for name in NAMES if name != "tree"]


def good(received: Any) -> pa.RecordBatch:
    """Return the good rows of a batch, which are all."""
    family = "files" if isinstance(received, pa.RecordBatch) else "api"
    checked = check_batch(RawBatch(received, str, family=family), EVERY, TODAY)
    assert checked.rejected == []
    assert checked.good.schema == stored_schema(EVERY)
    return checked.good


@settings(max_examples=150)
@given(rows=ROWS)
def test_a_row_of_any_type_means_the_same_however_it_arrives(rows: list[Row]) -> None:
    for received in (every_type.as_csv(rows), every_type.as_parquet(rows), every_type.as_json(rows)):
        assert good(received).to_pylist() == every_type.neutral(rows)


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    """Open a database with a table of every type, and a temporary one through which rows come in."""
    with connect(databases.connection(folder)) as database:
        for table, type_of in (("every", database.sql_type), ("_staged", database.staged_type)):
            columns = [f"{quoted(field.name)} {type_of(field.type)}" for field in EVERY.schema]
            temporary = "TEMP" if table == "_staged" else ""
            database.execute(f"CREATE {temporary} TABLE {table} ({', '.join(columns)})")
        yield database


def store(database: Database, rows: Sequence[Row]) -> None:
    """Store rows in place of those that are there."""
    database.execute("DELETE FROM every")
    database.empty("_staged")
    assert database.append("_staged", database.encoded(good(every_type.as_parquet(rows))))
    values = [database.from_staged(quoted(field.name), field.type) for field in EVERY.schema]
    database.execute(f"INSERT INTO every SELECT {', '.join(values)} FROM _staged")


def check_stored(database: Database, rows: Sequence[Row]) -> None:
    """Check that a database returns, sorts and compares rows as they are."""
    for name in ORDERED:
        column = quoted(name)
        there = [row for row in rows if row[name] is not None]
        found = database.query(f"SELECT id, {column} FROM every WHERE {column} IS NOT NULL ORDER BY 2, id")
        assert found.column(0).to_pylist() == [row["id"] for row in sorted(there, key=rank(name))]
        assert dict(zip(*(each.to_pylist() for each in found.columns), strict=True)) == {
            row["id"]: stored(database, row[name]) for row in there
        }
        for row in there[:3]:
            if not isinstance(row[name], bytes | bool):
                check_comparison(database, name, row[name], there)


def check_comparison(database: Database, name: str, value: Any, rows: Sequence[Row]) -> None:
    place, bound = database.bound(value)
    counts = database.execute(
        f"SELECT count(*) FILTER (WHERE {quoted(name)} < {place}),"
        f" count(*) FILTER (WHERE {quoted(name)} = {place}) FROM every",
        [bound, bound],
    )
    key = rank(name)
    limit = key({"id": 0, name: value})[0]
    ranks = [key({"id": 0, name: row[name]})[0] for row in rows]
    assert counts == [(sum(one < limit for one in ranks), ranks.count(limit))]


def rank(name: str) -> Any:
    return lambda row: (row[name].encode() if isinstance(row[name], str) else row[name], row["id"])


def stored(database: Database, value: Any) -> object:
    """Return a value as a query returns it."""
    match value:
        case datetime() if not database.is_shared:
            return f"{value.date()} {value:%H:%M:%S.%f}"
        case Decimal() if database.is_shared:
            return str(value)
        case datetime():
            return value
        case date():
            return value.isoformat()
        case time():
            return f"{value:%H:%M:%S.%f}"
    return float(value) if isinstance(value, Decimal) else value


@pytest.mark.usefixtures("each_database")
def test_extremes_come_back_and_sort(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        store(database, EXTREMES)
        check_stored(database, EXTREMES)


@pytest.mark.usefixtures("each_database")
def test_values_come_back_and_sort(tmp_path: Path) -> None:
    with opened(tmp_path) as database:

        @settings(max_examples=25)
        @given(rows=ROWS)
        def holds(rows: list[Row]) -> None:
            store(database, rows)
            check_stored(database, rows)

        holds()


@pytest.mark.usefixtures("each_database")
def test_json_comes_back_as_an_equal_value(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        store(database, EXTREMES)
        [[keys]] = database.execute("SELECT count(*) FROM every WHERE CAST(tree AS TEXT) LIKE '%10000000%'")
        assert keys == 1


@pytest.mark.only("postgres")
@pytest.mark.usefixtures("each_database")
def test_copy_takes_no_json_so_nothing_is_appended(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        assert not database.append("every", database.encoded(good(every_type.as_parquet(EXTREMES))))
        assert database.execute("SELECT count(*) FROM every") == [(0,)]


def test_sql_types(tmp_path: Path) -> None:
    with connect(databases.connection(tmp_path)) as database:
        types = [database.sql_type(kind) for kind in EVERY.schema.types]
    assert types == [
        *["INTEGER"] * 4,
        "REAL",
        "REAL",
        "INTEGER",
        "REAL",
        "REAL",
        *["TEXT"] * 6,
        "BLOB",
        "TEXT",
    ]


def test_a_moment_is_bound_in_utc(tmp_path: Path) -> None:
    with connect(databases.connection(tmp_path)) as database:
        moment = datetime.fromisoformat("2025-01-01T01:00:00+02:00")
        assert database.bound(moment) == ("?", "2024-12-31 23:00:00.000000")
        assert database.bound(datetime(1, 2, 3, tzinfo=UTC)) == ("?", "0001-02-03 00:00:00.000000")
        assert database.bound(date(2025, 1, 1)) == ("?", "2025-01-01")
        with pytest.raises(TypeError, match="cannot be bound in SQL"):
            database.bound([])
