"""A table of another program, taken over with its rows, which that program goes on writing to."""

from dataclasses import replace
from pathlib import Path

import databases
import loads
import pyarrow as pa
import pytest
from declared import PLAYER

from notebook_pipeline.declare import Column
from notebook_pipeline.errors import UsageError
from notebook_pipeline.review.trace import trace_row
from notebook_pipeline.review.wording import origin
from notebook_pipeline.storage.adoption import adopt, plan_adoption
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_table, create_tables

pytestmark = pytest.mark.usefixtures("each_database")

# As an application with an object-relational mapper declares it.
TABLE = """CREATE TABLE player (player_id INTEGER NOT NULL, gsis_id VARCHAR, first_name VARCHAR NOT NULL,
    last_name VARCHAR NOT NULL, position VARCHAR NOT NULL, last_changed_date DATE NOT NULL,
    PRIMARY KEY (player_id))"""
INSERT = """INSERT INTO player (player_id, gsis_id, first_name, last_name, position, last_changed_date)
    VALUES (?, NULL, 'Ada', ?, 'QB', '{day}')"""
UPSERT = INSERT + " ON CONFLICT (player_id) DO UPDATE SET last_name = excluded.last_name"
MARKS = [f'ALTER TABLE "player" ADD COLUMN "{mark}" TEXT{{collation}}' for mark in ("_run_id", "_source")]


def foreign(folder: Path, table: str = TABLE) -> Database:
    """Open a database that holds a table of another program with three rows, and nothing else."""
    database = connect(databases.connection(folder))
    database.execute(table)
    for key, name in ((1, "a"), (2, "b"), (3, "c")):
        database.execute(INSERT.format(day=f"2024-01-0{key}"), [key, name])
    return database


def test_what_adopting_takes_is_shown_and_nothing_is_written(tmp_path: Path) -> None:
    with foreign(tmp_path) as database:
        there = database.relations()
        found = plan_adoption(database, PLAYER)
        collation = ' COLLATE "C"' if database.is_shared else ""
        marks = [statement.format(collation=collation) for statement in MARKS]
        types = [
            'ALTER TABLE "player" ALTER COLUMN "player_id" TYPE BIGINT USING "player_id"',
            """ALTER TABLE "player" ALTER COLUMN "last_changed_date" TYPE TEXT COLLATE "C" """
            """USING to_char("last_changed_date", 'YYYY-MM-DD')""",
        ]
        assert found.statements == marks + types * database.is_shared
        assert (found.rows, found.obstacles) == (3, [])
        assert database.relations() == there
        assert database.execute("SELECT * FROM player WHERE player_id > 3") == []
        assert "_run_id" not in database.columns("player")


def test_loads_and_the_other_program_write_side_by_side(tmp_path: Path) -> None:
    with foreign(tmp_path) as database:
        assert adopt(database, PLAYER).rows == 3
        create_tables(database)
        create_table(database, PLAYER)
        update = [(1, "A", "2024-02-01"), (2, "b", "2024-01-02"), (4, "d", "2024-02-01")]
        api = loads.run(database, loads.API, loads.checked(update))
        file = [(1, "old", "2024-01-15"), (3, "c", "2024-01-03"), (5, "e", "2024-01-05")]
        bulk = loads.run(database, loads.BULK, loads.checked(file))
        counted = ("inserted", "updated", "unchanged", "stale")
        assert [loads.counts(database, api)[name] for name in counted] == [1, 1, 1, 0]
        assert [loads.counts(database, bulk)[name] for name in counted] == [1, 0, 1, 1]
        database.execute(INSERT.format(day="2024-03-01"), [6, "f"])
        database.execute(UPSERT.format(day="2024-03-01"), [2, "theirs"])
        assert loads.players(database) == [
            (1, "A", "2024-02-01", api, "api"),
            (2, "theirs", "2024-01-02", None, "api"),
            (3, "c", "2024-01-03", None, None),
            (4, "d", "2024-02-01", api, "api"),
            (5, "e", "2024-01-05", bulk, "bulk"),
            (6, "f", "2024-03-01", None, None),
        ]


def test_a_row_of_another_program_counts_as_bulk(tmp_path: Path) -> None:
    with foreign(tmp_path) as database:
        adopt(database, PLAYER)
        create_tables(database)
        create_table(database, PLAYER)
        tied = [(1, "bulk", "2024-01-01"), (2, "older", "2023-01-01")]
        bulk = loads.run(database, loads.BULK, loads.checked(tied))
        api = loads.run(database, loads.API, loads.checked([(3, "api", "2024-01-03")]))
        assert loads.players(database) == [
            (1, "bulk", "2024-01-01", bulk, "bulk"),
            (2, "b", "2024-01-02", None, None),
            (3, "api", "2024-01-03", api, "api"),
        ]


def test_a_trace_says_that_another_program_wrote_a_row(tmp_path: Path, home: Path) -> None:
    with foreign(tmp_path) as database:
        adopt(database, PLAYER)
        create_tables(database)
        create_table(database, PLAYER)
        loads.run(database, loads.API, loads.checked([(2, "b", "2024-01-02")]))
        [theirs, confirmed] = [trace_row(database, "player", key) for key in ("1", "2")]
        assert theirs
        assert confirmed
        assert origin(theirs) == [("written by", "another program, not by a run")]
        assert origin(confirmed)[1] == ("since then", "the source api has sent an identical row")
        assert theirs.to_json()["written_by_another_program"]
        assert theirs.to_json()["run"] is None


def test_what_runs_recorded_of_an_earlier_table_is_forgotten(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        loads.run(database, loads.API, loads.checked([(1, "a", "2024-01-01")]), present=[1])
        database.execute("DROP TABLE player")
    with foreign(tmp_path) as database:
        adopt(database, PLAYER)
        assert database.execute("SELECT * FROM watermark") == []
        assert database.execute("SELECT * FROM sweep") == []


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            TABLE.replace("gsis_id VARCHAR", "gsis_id VARCHAR, team INTEGER"),
            "column team (integer) is not declared (change the declaration, or run: ALTER TABLE",
        ),
        (TABLE.replace("gsis_id VARCHAR", "gsis_id VARCHAR NOT NULL DEFAULT ''"), "gsis_id is NOT NULL"),
        (TABLE.replace("last_name VARCHAR NOT NULL", "last_name INTEGER"), "last_name is of type integer"),
    ],
)
def test_a_table_that_does_not_fit_its_declaration_is_refused(tmp_path: Path, table: str, words: str) -> None:
    with connect(databases.connection(tmp_path)) as database:
        database.execute(table)
        before = database.columns("player")
        with pytest.raises(UsageError) as refused:
            adopt(database, PLAYER)
        assert words.lower() in str(refused.value).lower()
        assert database.columns("player") == before


@pytest.mark.only("sqlite")
@pytest.mark.parametrize(
    ("kind", "good", "bad", "shown"),
    [
        (pa.date32(), ["'2024-02-29'", "NULL"], ["'2024-02-30'", "'1.2.2024'"], "'1.2.2024', '2024-02-30'"),
        (pa.string(), ["'01067'", "''"], ["x'00'"], "1 of its values"),
        (pa.int64(), ["1", "-1"], ["'x'", "1.5"], "'1.5', 'x'"),
        (pa.float64(), ["1", "1.5"], ["'x'"], "'x'"),
    ],
)
def test_values_that_a_run_would_not_have_stored_are_refused_with_examples(
    tmp_path: Path, kind: pa.DataType, good: list[str], bad: list[str], shown: str
) -> None:
    types = {pa.date32(): "DATE", pa.string(): "TEXT", pa.int64(): "INT", pa.float64(): "REAL"}
    dataset = replace(
        PLAYER,
        name="thing",
        columns=(Column("id", pa.int64(), nullable=False), Column("it", kind)),
        key="id", cursor=None, rules=(), checks=(), api=None,
    )  # fmt: skip
    with connect(databases.connection(tmp_path)) as database:
        database.execute(f"CREATE TABLE thing (id INTEGER PRIMARY KEY, it {types[kind]})")
        for value in good:
            database.execute(f"INSERT INTO thing (it) VALUES ({value})")
        assert plan_adoption(database, dataset).obstacles == []
        for value in bad:
            database.execute(f"INSERT INTO thing (it) VALUES ({value})")
        [obstacle] = plan_adoption(database, dataset).obstacles
        assert f"column it is declared as {kind}, but {len(bad)} of its values are not stored" in obstacle
        assert shown in obstacle


@pytest.mark.only("postgres")
def test_values_that_text_cannot_spell_as_a_day_are_refused(tmp_path: Path) -> None:
    with foreign(tmp_path) as database:
        database.execute("UPDATE player SET last_changed_date = 'infinity' WHERE player_id = 2")
        [obstacle] = plan_adoption(database, PLAYER).obstacles
        assert obstacle.endswith("but 1 of its values are not stored as that, such as 'infinity'")


def test_a_table_without_the_declared_key_gets_it_if_its_rows_are_distinct(tmp_path: Path) -> None:
    keyless = TABLE.replace(",\n    PRIMARY KEY (player_id)", "")
    with foreign(tmp_path, keyless) as database:
        database.execute(INSERT.format(day="2024-01-01"), [1, "again"])
        with pytest.raises(UsageError, match="several rows have the same player_id, such as 1"):
            adopt(database, PLAYER)
        database.execute("DELETE FROM player WHERE last_name = 'again'")
        statements = adopt(database, PLAYER).statements
        assert 'CREATE UNIQUE INDEX "player_key" ON "player" ("player_id")' in statements
        create_tables(database)
        create_table(database, PLAYER)
        loads.run(database, loads.API, loads.checked([(1, "A", "2024-02-01")]))


def test_what_is_there_already_or_not_at_all_is_not_adopted(tmp_path: Path) -> None:
    with connect(databases.connection(tmp_path)) as database:
        with pytest.raises(UsageError, match="no table player"):
            plan_adoption(database, PLAYER)
        database.execute(TABLE)
        adopt(database, PLAYER)
        with pytest.raises(UsageError, match="player is adopted already"):
            adopt(database, PLAYER)
