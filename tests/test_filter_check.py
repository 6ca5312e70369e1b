"""Whether the rows of an update fit the filter with which they were requested."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import loads
import pyarrow as pa
import pytest

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare import Column, Dataset
from notebook_pipeline.sources.http.rest import API
from notebook_pipeline.steps.filter_check import filter_problem
from notebook_pipeline.steps.reading_moment import Cursor
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_table, create_tables

SINCE = {"date32[day]": "2026-11-20", "int64": "20", "timestamp[us, tz=UTC]": "2026-11-20 10:00:00.000000"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with loads.open_database(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "stored", "older", "later"),
    [
        (pa.date32(), "2026-11-20", "2026-11-19", "2026-11-21"),
        (pa.int64(), 20, 9, 100),
        (
            pa.timestamp("us", "UTC"),
            datetime(2026, 11, 20, 10, tzinfo=UTC),
            datetime(2026, 11, 17, 10, tzinfo=UTC),
            datetime(2026, 11, 20, 10, 1, tzinfo=UTC),
        ),
    ],
)
def test_a_filter_that_is_ignored_or_leaves_out_its_own_cursor_is_a_problem(
    tmp_path: Path, kind: pa.DataType, stored: Cursor, older: Cursor, later: Cursor
) -> None:
    dataset = Dataset(
        "thing",
        [Column("id", pa.int64(), nullable=False), Column("at", kind, nullable=False)],
        "id",
        "at",
    )
    since = SINCE[str(kind)]
    with loads.open_database(tmp_path, dataset) as database:
        for oldest in (None, stored, later):
            assert filter_problem(database, dataset, since, oldest) == ""
        parameter, bound = database.bound(
            datetime.fromisoformat(str(stored)).date() if isinstance(stored, str) else stored
        )
        database.execute(f"INSERT INTO thing (id, at) VALUES (1, {parameter})", [bound])
        assert filter_problem(database, dataset, since, stored) == ""
        for oldest in (None, later):
            found = filter_problem(database, dataset, since, oldest)
            assert found.startswith(f"none of 1 stored row with the cursor {since} came back")
        found = filter_problem(database, dataset, since, older)
        assert found.startswith(f"asked for rows changed since {since}, and received older ones")


def test_it_is_a_finding_of_the_run(database: Database) -> None:
    create_tables(database)
    create_table(database, loads.PLAYER)
    origin = Origin(API, since="2023-06-02")
    run = loads.run(database, origin, loads.checked([(1, "a", "2023-06-01")]))
    found = database.execute("SELECT run_id, check_name, severity, passed, measured FROM quality_result")
    assert [row[:4] for row in found] == [(run, "filter_of_source", "warn", 0)]
    assert found[0][4].endswith(
        "the oldest of 2023-06-01: the source does not seem to filter. Check `since` in the declaration"
    )
