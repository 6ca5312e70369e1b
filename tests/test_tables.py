"""The tables: made once, as declared, and held to their declaration."""

from dataclasses import replace
from pathlib import Path

import loads
import pyarrow as pa
import pytest
from declared import PLAYER

from notebook_pipeline.declare import Column, Dataset
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.storage import sqlite as module
from notebook_pipeline.storage import tables
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.keys import is_rejected, rejected_key

pytestmark = pytest.mark.usefixtures("each_database")

COLUMNS = {
    "player": ("player_id gsis_id first_name last_name position last_changed_date _run_id _source"),
    "pipeline_run": (
        "run_id dag_id dag_run_id task_id map_index try_number notebook notebook_sha256 parameters dataset "
        "source status started_at committed_at finished_at rows_read rows_inserted rows_updated "
        "rows_unchanged rows_stale rows_rejected rows_deleted watermark_before watermark_after artifact error"
    ),
    "watermark": "dataset source value run_id updated_at",
    "rejected_row": "run_id dataset position row reasons",
    "deleted_row": "dataset key cursor run_id",
    "quality_result": (
        "run_id dataset check_name severity passed measured expected sample measured_number measured_counts"
    ),
    "accepted_row": "dataset key cursor run_id",
    "sweep": "dataset source cursor run_id spared",
    "schema_version": "version applied_at engine",
    "stream_position": "dataset source partition value run_id updated_at",
    "received_message": "dataset source message_id run_id received_at",
    "run_child": (
        "run_id dataset rows_read rows_inserted rows_updated rows_unchanged rows_stale rows_rejected "
        "rows_deleted"
    ),
}

PLANET = replace(
    PLAYER,
    name="planet",
    columns=(
        Column("select", pa.string(), nullable=False),
        Column('it\'s "odd"', pa.float64()),
        Column("day", pa.date32(), nullable=False),
    ),
    key="select",
    cursor="day",
    rules=(),
    checks=(),
)


def test_every_fixed_table_has_its_columns(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        for table, columns in COLUMNS.items():
            assert " ".join(database.columns(table)) == columns


@pytest.mark.only("sqlite")
def test_a_database_that_has_its_tables_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening a notebook does not wait for the load that another one runs."""
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 1)
    with loads.open_database(tmp_path) as database, connect(loads.connection(tmp_path)) as other:
        with other.transaction():
            tables.create_tables(database)
        assert loads.rows_of(database) == []


def test_a_missing_table_is_made_again(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        loads.run(database, loads.BULK, loads.checked([(1, "a", "2024-01-01")]))
        database.execute("DROP TABLE quality_result")
        tables.create_tables(database)
        assert database.execute("SELECT * FROM quality_result") == []
        assert loads.rows_of(database) == [(1, "a", "2024-01-01")]


def test_another_program_can_insert_and_upsert_without_marks(tmp_path: Path) -> None:
    columns = "player_id, first_name, last_name, position, last_changed_date"
    with loads.open_database(tmp_path) as database:
        for name in ("Ada", "Bo"):
            database.execute(
                f"""INSERT INTO player ({columns}) VALUES (1, ?, 'b', 'QB', '2024-01-01')
                ON CONFLICT (player_id) DO UPDATE SET first_name = excluded.first_name""",
                [name],
            )
        assert database.execute("SELECT * FROM player") == [
            (1, None, "Bo", "b", "QB", "2024-01-01", None, None)
        ]


def test_a_required_column_is_not_null(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database, pytest.raises(PipelineError, match="last_changed_date"):
        database.execute("INSERT INTO player VALUES (1, NULL, 'a', 'b', 'QB', NULL, 'r', 'bulk')")


TEAM_PLAYER = Dataset(
    "team_player",
    [
        Column("team_id", pa.int64(), nullable=False),
        Column("player_id", pa.int64(), nullable=False),
        Column("share", pa.float64()),
    ],
    ("team_id", "player_id"),
)


def test_a_key_of_several_columns_is_the_primary_key(tmp_path: Path) -> None:
    with connect(loads.connection(tmp_path)) as database:
        tables.create_tables(database)
        tables.create_table(database, TEAM_PLAYER)
        for player in (1, 2):
            database.execute("INSERT INTO team_player VALUES (1, ?, 0.5, NULL, NULL)", [player])
        with pytest.raises(PipelineError, match="team_player"):
            database.execute("INSERT INTO team_player VALUES (1, 2, 0.5, NULL, NULL)")
        stored = database.tables.read("team_player")
        assert stored
        assert stored.keys == (("team_id", "player_id"),)


@pytest.mark.only("sqlite")
@pytest.mark.parametrize(
    ("dataset", "clustered"),
    [(PLAYER, False), (PLANET, True), (TEAM_PLAYER, True)],
    ids=["one number", "one text", "two numbers"],
)
def test_rows_lie_in_the_order_of_their_key(tmp_path: Path, dataset: Dataset, clustered: bool) -> None:
    with connect(loads.connection(tmp_path)) as database:
        tables.create_tables(database)
        tables.create_table(database, dataset)
        [(sql,)] = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", [dataset.name])
        assert sql.endswith(" WITHOUT ROWID") == clustered


def test_a_table_that_is_made_anew_forgets_what_runs_recorded_of_the_old(tmp_path: Path) -> None:
    """A table dropped by hand must not be updated from a watermark that its rows no longer reach."""
    with loads.open_database(tmp_path) as database:
        loads.run(database, loads.API, loads.checked([(1, "a", "2024-01-01")]), present=[1])
        assert database.execute("SELECT value FROM watermark") == [("2024-01-01",)]
        database.execute("DROP TABLE player")
        tables.create_table(database, PLAYER)
        assert database.execute("SELECT * FROM watermark") == []
        assert database.execute("SELECT * FROM sweep") == []


def test_any_declared_names_can_be_stored(tmp_path: Path) -> None:
    with loads.open_database(tmp_path, PLANET) as database:
        database.execute("INSERT INTO planet VALUES ('from', 1.5, '2024-01-01', 'r', 'api')")
        assert database.query("SELECT * FROM planet").to_pylist() == [
            {"select": "from", 'it\'s "odd"': 1.5, "day": "2024-01-01", "_run_id": "r", "_source": "api"}
        ]


def test_a_ledger_of_another_version_is_refused(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        database.execute("ALTER TABLE pipeline_run DROP COLUMN rows_stale")
        with pytest.raises(UsageError, match=r"table pipeline_run has the columns .*expects .*'rows_stale'"):
            tables.create_tables(database)


def test_no_other_dataset_is_created_or_compared(tmp_path: Path) -> None:
    with loads.open_database(tmp_path, PLANET) as database:
        assert "player" not in database.relations()
        database.execute("CREATE TABLE player (other TEXT)")
        tables.create_tables(database)
        tables.create_table(database, PLANET)


def test_a_dataset_cannot_have_the_name_of_anything_in_the_database(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        for name in database.relations() - {"player"}:
            with pytest.raises(UsageError, match=rf"{name}' (has the|has a) name|dataset name '{name}'"):
                replace(PLAYER, name=name)


def test_tables_that_runs_have_written_are_told_from_others(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        database.execute("CREATE TABLE mine (id TEXT)")
        tables.create_table(database, PLANET)
        assert tables.dataset_tables(database) == ["planet", "player"]


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ('{"player_id": 12}', 12),
        ('{"player_id": "12"}', 12),
        ('{"player_id": null}', None),
        ('{"name": "no key"}', None),
        ('"a line that was cut"', None),
        ("[1, 2]", None),
    ],
)
def test_the_key_of_a_rejected_row_is_found_by_index(tmp_path: Path, row: str, key: int | None) -> None:
    with loads.open_database(tmp_path) as database:
        database.execute("INSERT INTO rejected_row VALUES ('r', 'player', 'f:1', ?, '[]')", [row])
        database.execute(
            "INSERT INTO rejected_row VALUES ('r', 'planet', 'f:1', '{\"player_id\": 12}', '[]')"
        )
        database.execute("INSERT INTO rejected_row VALUES ('r', 'player', 'f:1', 'no JSON', '[]')")
        found = rejected_key(database, PLAYER)
        sql = f"FROM rejected_row WHERE {is_rejected(PLAYER)} AND {found}"
        assert database.execute(f"""SELECT "row" {sql} = '12'""") == ([(row,)] if key else [])
        if not database.is_shared:
            [plan] = database.execute(f"EXPLAIN QUERY PLAN SELECT 1 {sql} = '12'")
            assert "INDEX rejected_row_player" in plan[3]
