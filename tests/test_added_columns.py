"""A column that is declared after rows are stored: the next load adds it, and the next update fills it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import loads
import pyarrow as pa
import pytest
from databases import connection
from declared import PLAYER

from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.check_batch import Checked
from notebook_pipeline.declare import Column, Dataset
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.files.file_source import BULK as KIND_BULK
from notebook_pipeline.sources.source import Ending
from notebook_pipeline.steps.extract import first_day, open_source
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import postgres_tables
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_table

pytestmark = pytest.mark.usefixtures("each_database")

WIDER = replace(PLAYER, columns=(*PLAYER.columns, Column("team", pa.string())))


def session(database: Database, dataset: Dataset = WIDER) -> Session:
    """Start a run whose dataset is declared like this."""
    started, _ = loads.start(database)
    started.__dict__["dataset"] = dataset
    return started


def wide(*rows: tuple[int, str, str, str]) -> Checked:
    """Return a batch with the new column."""
    batch = loads.good([row[:3] for row in rows])
    return Checked(batch.append_column("team", pa.array([row[3] for row in rows])), [], len(rows))


class Empty:
    """A file without rows."""

    kind, name = KIND_BULK, "f.csv"

    def batches(self) -> Iterator[RawBatch]:
        return iter(())

    def ending(self) -> Ending:
        return Ending(Origin(KIND_BULK))


def teams(database: Database) -> list[tuple]:
    return database.execute("SELECT player_id, team, _source FROM player ORDER BY player_id")


def marks(database: Database) -> list[tuple]:
    return database.execute("SELECT source, value FROM watermark ORDER BY source")


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Database]:
    """Yield a database with a file and an update of the narrower declaration."""
    with loads.open_database(tmp_path) as database:
        loads.run(database, loads.BULK, loads.checked([(1, "a", "2024-01-01"), (2, "b", "2024-01-02")]))
        loads.run(database, loads.API, loads.checked([(2, "b", "2024-01-03")]))
        assert marks(database) == [("api", "2024-01-03"), ("bulk", "2024-01-02")]
        yield database


def test_a_file_adds_the_column_and_leaves_no_watermark(stored: Database) -> None:
    create_table(stored, WIDER)
    assert "team" not in stored.columns("player")
    loads.run(stored, loads.BULK, wide((3, "c", "2024-01-09", "x")), session=session(stored))
    assert teams(stored) == [(1, None, "bulk"), (2, None, "api"), (3, "x", "bulk")]
    assert marks(stored) == []
    assert first_day(session(stored), 0) == ""


def test_an_update_reads_everything_and_has_a_watermark_again(stored: Database) -> None:
    run = session(stored)
    assert first_day(run, 0) == ""
    rows = wide((1, "a", "2024-01-01", "x"), (2, "b", "2024-01-03", "y"))
    loads.run(stored, loads.API, rows, session=run)
    assert teams(stored) == [(1, "x", "api"), (2, "y", "api")]
    assert marks(stored) == [("api", "2024-01-03")]
    assert first_day(session(stored), 0) == "2024-01-03"


def test_a_load_that_fails_adds_nothing(stored: Database) -> None:
    run = session(stored)
    with pytest.raises(ZeroDivisionError):
        fail(run)
    assert "team" not in stored.columns("player")
    assert marks(stored) == [("api", "2024-01-03"), ("bulk", "2024-01-02")]


def fail(run: Session) -> None:
    """Load a row, and fail when the column is there and the row is merged."""
    with transaction(run, loads.BULK, loads.ANY_NUMBER) as merge:
        merge.merge([wide((3, "c", "2024-01-09", "x"))])
        assert "team" in run.database.columns("player")
        raise ZeroDivisionError


def test_the_notes_of_a_run_name_the_column(stored: Database) -> None:
    class Empty:
        kind, name = KIND_BULK, "f.csv"

        def batches(self):
            return iter(())

        def ending(self):
            from notebook_pipeline.sources.source import Ending

            return Ending(Origin(KIND_BULK))

    run = session(stored)
    [note] = open_source(run, Empty()).notes  # type: ignore[arg-type]
    assert note == (
        "table player lacks the declared columns team: this run adds them. Stored rows have no value there "
        "yet, so the next update reads everything"
    )


@pytest.mark.only("postgres")
def test_without_the_right_a_run_is_refused_with_the_statement(stored: Database) -> None:
    for statement in (
        "CREATE ROLE writer_without_right",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO writer_without_right",
        "SET ROLE writer_without_right",
    ):
        stored.execute(statement)
    try:
        with pytest.raises(UsageError, match=r'owner run: ALTER TABLE "player" ADD COLUMN "team" TEXT'):
            loads.run(stored, loads.BULK, wide((3, "c", "2024-01-09", "x")), session=session(stored))
    finally:
        for statement in (
            "RESET ROLE",
            "DROP OWNED BY writer_without_right",
            "DROP ROLE writer_without_right",
        ):
            stored.execute(statement)
    assert "team" not in stored.columns("player")


@pytest.mark.only("postgres")
def test_two_loads_that_need_the_column_do_not_collide(stored: Database, tmp_path: Path) -> None:
    runs = [session(stored), session(stored)]
    assert [run.missing_columns for run in runs] == [["team"], ["team"]]
    for key, run in enumerate(runs, 3):
        loads.run(stored, loads.BULK, wide((key, "c", "2024-01-09", "x")), session=run)
    assert [team for _, team, _ in teams(stored)] == [None, None, "x", "x"]
    assert marks(stored) == []
    with connect(connection(tmp_path)) as other:
        create_table(other, WIDER)


@pytest.mark.only("postgres")
def test_a_table_in_use_is_not_waited_for_long(
    stored: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the column waits for a reader, all others wait for the column."""
    monkeypatch.setattr(postgres_tables, "LOCK_SECONDS", 0.1)
    with connect(connection(tmp_path)) as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM player")
        with pytest.raises(PipelineError, match="lock timeout"):
            loads.run(stored, loads.BULK, wide((3, "c", "2024-01-09", "x")), session=session(stored))
    loads.run(stored, loads.BULK, wide((3, "c", "2024-01-09", "x")), session=session(stored))
    assert stored.execute("SELECT current_setting('lock_timeout')") == [("15min",)]
