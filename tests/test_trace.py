"""The trace of a row by a key of any types, stored or deleted, on each engine."""

from pathlib import Path

import databases
import pytest

from notebook_pipeline.declare.catalogue import get
from notebook_pipeline.review.trace import trace_row
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.keys import key_text
from notebook_pipeline.storage.tables import create_table, create_tables

pytestmark = pytest.mark.usefixtures("each_database")

VISIT = """import pyarrow as pa
from notebook_pipeline.declare import Column, Dataset
VISIT = Dataset("visit", [
    Column("at", pa.timestamp("us", "UTC"), nullable=False), Column("day", pa.date32(), nullable=False),
    Column("price", pa.decimal128(9, 2), nullable=False), Column("is_new", pa.bool_(), nullable=False),
    Column("clock", pa.time64("us"), nullable=False), Column("name", pa.string(), nullable=False)],
    ("at", "day", "price", "is_new", "clock", "name"))
"""
KEY = ["2024-01-01T10:00:00.5+01:00", "2024-01-01", "1.50", "true", "10:00:00", 'é "x"']


def test_a_row_is_traced_by_moments_days_decimals_truths_and_times(tmp_path: Path, home: Path) -> None:
    (home / "datasets" / "visit.py").write_text(VISIT)
    dataset = get("visit")
    with connect(databases.connection(tmp_path)) as database:
        create_tables(database)
        create_table(database, dataset)
        assert trace_row(database, "visit", KEY) is None
        at = database.moment("'2024-01-01 09:00:00.500000'")
        is_new = "true" if database.is_shared else "1"
        database.execute(
            "INSERT INTO visit (at, day, price, is_new, clock, name) "
            f"VALUES ({at}, '2024-01-01', 1.50, {is_new}, "
            "'10:00:00.000000', ?)",
            [KEY[-1]],
        )
        found = trace_row(database, "visit", KEY)
        assert found is not None
        assert found.row is not None
        assert found.row["name"] == KEY[-1]
        text = key_text(database, dataset, "v")
        database.execute(f"INSERT INTO deleted_row SELECT 'visit', {text}, '', 'r' FROM visit v")
        database.execute("DELETE FROM visit")
        deleted = trace_row(database, "visit", KEY)
        assert deleted is not None
        assert deleted.row is None
