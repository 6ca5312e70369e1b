"""PostgreSQL: what it does otherwise than SQLite, and writers that work side by side."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import databases
import loads
import pyarrow as pa
import pytest
import waiting
from loads import API, BULK

from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.check_batch import Checked
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import ledger, postgres_session
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.tables import create_tables

pytestmark = [pytest.mark.usefixtures("each_database"), pytest.mark.only("postgres")]

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["notebook_pipeline.steps.load_transaction"])

DAY, NEXT = "2024-01-05", "2024-01-06"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with loads.open_database(tmp_path) as opened:
        opened.execute(
            'CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT COLLATE "C", weight DOUBLE PRECISION)'
        )
        opened.execute("INSERT INTO t VALUES (?, ?, ?)", [1, "one", 1.5])
        yield opened


def test_values_come_back_as_they_went_in(database: Database) -> None:
    name = "O'Neil; DROP TABLE t; -- ñ?\n"
    database.execute("INSERT INTO t VALUES (?, ?, ?)", [2**63 - 1, name, None])
    assert database.execute("SELECT id, name FROM t WHERE name = ?", [name]) == [(2**63 - 1, name)]
    assert database.query("SELECT '?' AS \"a?\", name FROM t WHERE id = ?", [1]).to_pylist() == [
        {"a?": "?", "name": "one"}
    ]
    assert database.execute("DELETE FROM t WHERE id = ?", [1]) == []


def test_text_is_sorted_by_its_bytes(database: Database) -> None:
    names = ["Z", "a", "b'", "é", "ω", "_"]
    database.append("t", pa.table({"id": range(10, 16), "name": names}))
    found = database.execute("SELECT name FROM t WHERE id >= 10 ORDER BY name")
    assert [name for (name,) in found] == sorted(names, key=str.encode)


def test_what_fails_in_a_transaction_is_rolled_back_and_said(database: Database) -> None:
    with pytest.raises(PipelineError, match=r"duplicate key .*another writer stored it"):
        _insert_twice(database)
    assert database.execute("SELECT id FROM t") == [(1,)]


def _insert_twice(database: Database) -> None:
    with database.transaction():
        database.execute("INSERT INTO t VALUES (2, 'two', NULL)")
        database.execute("INSERT INTO t VALUES (1, 'again', NULL)")


def test_a_transaction_with_a_statement_that_failed_is_never_taken_for_committed(database: Database) -> None:
    with pytest.raises(PipelineError, match="a statement of this transaction failed; nothing was changed"):
        _go_on_after_a_failure(database)
    assert database.execute("SELECT id FROM t") == [(1,)]


def _go_on_after_a_failure(database: Database) -> None:
    with database.transaction():
        database.execute("INSERT INTO t VALUES (2, 'two', NULL)")
        with pytest.raises(PipelineError, match="nothing_there"):
            database.execute("SELECT * FROM nothing_there")


def test_rows_whose_key_is_stored_are_not_appended_and_the_transaction_goes_on(database: Database) -> None:
    with database.transaction():
        assert database.append("t", pa.table({"id": [2, 3], "name": ["b", None]}))
        assert not database.append("t", pa.table({"id": [4, 1], "name": ["d", "again"]}))
        database.execute("INSERT INTO t VALUES (5, 'e', NULL)")
    assert database.execute("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,), (5,)]


def test_reading_only_reads_what_another_writes(tmp_path: Path, database: Database) -> None:
    with connect(databases.connection(tmp_path), read_only=True) as reader:
        database.execute("INSERT INTO t VALUES (2, 'two', NULL)")
        assert reader.execute("SELECT count(*) FROM t") == [(2,)]
        with pytest.raises(PipelineError, match="this connection is read-only"):
            reader.execute("DELETE FROM t")


def test_what_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    found = replace(databases.connection(tmp_path), password="p@ss/word?%", schema="not there")
    with pytest.raises(PipelineError) as caught:
        connect(found)
    assert f"postgresql://{found.host}:5432/not there: cannot be opened" in str(caught.value)
    assert "check the connection 'analytics_database', and that the server is running" in str(caught.value)
    assert 'database "not there" does not exist' in str(caught.value)
    assert "p@ss" not in str(caught.value)
    with pytest.raises(PipelineError, match=r"127\.0\.0\.1:1/x: cannot be opened .*Connection refused"):
        connect(replace(found, host="127.0.0.1", port=1, schema="x"))


def test_a_writer_that_waited_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = databases.connection(tmp_path)  # before: it waits for others that make theirs
    monkeypatch.setattr(postgres_session, "LOCK_TIMEOUT_MS", 50)
    with connect(found) as holder, connect(found) as waiting_one:
        with holder.transaction():
            holder.lock("player", shared=True)
            with waiting_one.transaction():
                waiting_one.lock("player", shared=True)
            with (
                pytest.raises(PipelineError, match="check which run is `running`, then run again"),
                waiting_one.transaction(),
            ):
                waiting_one.lock("player")
        with waiting_one.transaction():
            waiting_one.lock("player")


def test_many_make_the_tables_at_once(tmp_path: Path) -> None:
    databases.connection(tmp_path)
    with FORKED.Pool(4) as pool:
        assert pool.map(_open, [tmp_path] * 8, chunksize=1) == [True] * 8


def _open(folder: Path) -> bool:
    with loads.open_database(folder) as database:
        create_tables(database)
        return "player" in database.relations()


GLOBS = ["00-*", "00-[0-9]?", "a.c", "[!]x]*", "*", "[^a]b", "(a|b)+", "a\\b", "?"]
TEXTS = ["00-12", "00-1x", "abc", "a.c", "xb", "ab", "(a|b)+", "a\\b", "", "ñ", "a\nb", "]"]


def test_globs_mean_the_same_in_both_databases(tmp_path: Path, database: Database) -> None:
    with connect(_sqlite(tmp_path)) as other:
        for glob in GLOBS:
            for text in TEXTS:
                found = []
                for each in (database, other):
                    condition, value = each.misses_glob("CAST(? AS TEXT)", glob)
                    found.append(bool(each.execute(f"SELECT {condition}", [text, value])[0][0]))
                assert found[0] == found[1], (glob, text)


def _sqlite(folder: Path) -> Connection:
    return replace(databases.connection(folder), conn_type="sqlite", host=str(folder / "other.db"), schema="")


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ('{"player_id": 12, "name": "a\\u0000b"}', 12),
        ('{"player_id": "-12", "name": "\\\\u0000"}', -12),
        ('{"player_id": "twelve"}', None),
        ('{"player_id": 1234567890123456789}', 1234567890123456789),
        ('{"player_id": -9223372036854775808}', -(2**63)),
        ('{"player_id": "00000000000000000000012"}', 12),
        ('{"player_id": 9223372036854775808}', None),
        ('{"player_id": 99999999999999999999999}', None),
        ('{"player_id": {"deep": 1}}', None),
        ("no JSON", None),
    ],
)
def test_a_key_is_read_as_far_as_it_can_be_read(database: Database, row: str, key: int | None) -> None:
    database.execute("INSERT INTO rejected_row VALUES ('r', 'player', 'f:1', ?, '[]')", [row])
    sql = database.json_key("row", "player_id", pa.int64())
    assert database.execute(f"SELECT {sql} FROM rejected_row") == [(key,)]


class Writer:
    """Load in a thread of its own, batch by batch, as it is told to."""

    def __init__(
        self, folder: Path, origin: Origin, *batches: Checked, together: threading.Barrier | None = None
    ) -> None:
        self._folder, self._origin, self._batches, self._together = folder, origin, batches, together
        self.merged = [threading.Event() for _ in batches]
        self.may_go_on = threading.Event()
        self.error: Exception | None = None
        self.run_id = ""
        self.thread = threading.Thread(target=self._load)
        self.thread.start()

    def end(self) -> str:
        """Let the load commit and return its run."""
        self.may_go_on.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.run_id

    def _load(self) -> None:
        try:
            with loads.open_database(self._folder) as database:
                session: Session = loads.start(database)[0]
                self.run_id = session.run_id
                with transaction(session, self._origin, loads.ANY_NUMBER) as merge:
                    for batch, merged in zip(self._batches, self.merged, strict=True):
                        merge.merge([batch])
                        merged.set()
                        if self._together and merged is self.merged[0]:
                            self._together.wait(60)
                    assert self.may_go_on.wait(60)
        except PipelineError as error:
            self.error = error


def test_bulk_loads_run_side_by_side(tmp_path: Path) -> None:
    """Each merges while the other's transaction is open; an update waits for both."""
    with loads.open_database(tmp_path) as database:
        one = Writer(tmp_path, BULK, loads.checked([(1, "a", DAY), (3, "c", DAY)]))
        two = Writer(tmp_path, BULK, loads.checked([(4, "d", NEXT), (2, "b", DAY)]))
        assert one.merged[0].wait(60)
        assert two.merged[0].wait(60)
        update = Writer(tmp_path, API, loads.checked([(1, "z", NEXT)]))
        waiting.until(lambda: databases.others(database, "AND wait_event_type = 'Lock'"))
        assert loads.rows_of(database) == []
        runs = [one.end(), two.end()]
        assert update.merged[0].wait(60)
        update.end()
        assert loads.players(database) == [
            (1, "z", NEXT, update.run_id, "api"),
            (2, "b", DAY, runs[1], "bulk"),
            (3, "c", DAY, runs[0], "bulk"),
            (4, "d", NEXT, runs[1], "bulk"),
        ]
        assert [loads.counts(database, run)["inserted"] for run in runs] == [2, 2]
        assert database.execute("SELECT value FROM watermark WHERE source = 'bulk'") == [(NEXT,)]


@pytest.mark.parametrize("stored", [False, True], ids=["new rows", "rows that are there"])
@pytest.mark.parametrize(("day", "wins"), [(NEXT, True), ("2024-01-01", False)])
def test_rows_that_two_loads_write_are_compared_by_the_rule(
    tmp_path: Path, stored: bool, day: str, wins: bool
) -> None:
    """The second waits for the row of the first, and compares it again once that is committed."""
    with loads.open_database(tmp_path) as database:
        old = [(1, "old", "2023-01-01"), (2, "old", "2023-01-01")]
        loads.run(database, BULK, loads.checked(old if stored else [(9, "x", "2023-01-01")]))
        first = Writer(tmp_path, BULK, loads.checked([(2, "first", DAY)]))
        assert first.merged[0].wait(60)
        second = Writer(tmp_path, BULK, loads.checked([(1, "second", DAY), (2, "second", day)]))
        waiting.until(lambda: databases.others(database, "AND wait_event_type = 'Lock'"))
        first.end()
        second.end()
        assert (first.error, second.error) == (None, None)
        winner = (
            (2, "second", day, second.run_id, "bulk") if wins else (2, "first", DAY, first.run_id, "bulk")
        )
        assert loads.players(database)[:2] == [(1, "second", DAY, second.run_id, "bulk"), winner]
        counts = loads.counts(database, second.run_id)
        assert (counts["inserted"], counts["updated"], counts["stale"]) == (
            0 if stored else 1, (1 if stored else 0) + wins, 1 - wins
        )  # fmt: skip


def test_loads_that_wait_for_each_other_end_in_words(tmp_path: Path) -> None:
    """Each holds a row that the other wants next: one is told to run again, the other goes on."""
    both = threading.Barrier(2)
    with loads.open_database(tmp_path) as database:
        one, two = (
            Writer(tmp_path, BULK, *(loads.checked([(key, name, DAY)]) for key in keys), together=both)
            for name, keys in (("one", (1, 2)), ("two", (2, 1)))
        )
        one.end()
        two.end()
        [lost] = [writer for writer in (one, two) if writer.error]
        assert "another load wrote the same rows in another order; nothing was changed" in str(lost.error)
        name = "one" if lost is two else "two"
        assert loads.rows_of(database) == [(1, name, DAY), (2, name, DAY)]


def _hold(folder: Path, run_id: str, sender) -> None:
    with loads.open_database(folder) as database:
        ledger.hold(database, folder, {"run_id": run_id, "artifact": None})
        sender.send("held")
        signal.pause()


def test_a_run_is_alive_as_long_as_its_session(tmp_path: Path) -> None:
    run = {"run_id": "r", "artifact": None}
    with loads.open_database(tmp_path) as database:
        receiver, sender = FORKED.Pipe(duplex=False)
        holder = FORKED.Process(target=_hold, args=(tmp_path, "r", sender), daemon=True)
        holder.start()
        assert receiver.recv() == "held"
        assert ledger.is_alive(database, tmp_path, run)
        with pytest.raises(PipelineError, match="another process is working on run r"):
            ledger.hold(database, tmp_path, run)
        os.kill(holder.pid or 0, signal.SIGKILL)
        holder.join()
        waiting.until(lambda: not ledger.is_alive(database, tmp_path, run))
        lock = ledger.hold(database, tmp_path, run)
        with pytest.raises(PipelineError, match="another process is working on run r"):
            ledger.hold(database, tmp_path, run)
        assert ledger.is_alive(database, tmp_path, run)
        lock.release()
        lock.release()
        assert not ledger.is_alive(database, tmp_path, run)


def test_a_trigger_that_drops_rows_ends_the_run_with_an_error(database: Database) -> None:
    loads.run(database, loads.BULK, loads.checked([(1, "a", DAY), (3, "a", DAY)]))
    database.execute(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    )
    database.execute("CREATE TRIGGER t BEFORE INSERT ON player FOR EACH ROW EXECUTE FUNCTION swallow()")
    with pytest.raises(PipelineError, match="player: the database wrote fewer rows than it was given"):
        loads.run(database, loads.BULK, loads.checked([(1, "b", NEXT)]))
    assert loads.rows_of(database) == [(1, "a", DAY), (3, "a", DAY)]
