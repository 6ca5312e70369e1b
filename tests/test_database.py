"""Opening the database, one transaction at a time, and what goes wrong with disks and folders."""

import multiprocessing
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pyarrow as pa
import pytest

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.storage import sqlite as module
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database, literal, quoted

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["notebook_pipeline.steps.load_transaction"])


def named(path: Path) -> Connection:
    return Connection("analytics_database", "sqlite", host=str(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a database with one table of one row."""
    path = tmp_path / "some folder" / "a#b c%20.db"
    with connect(named(path)) as database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        database.execute("INSERT INTO t VALUES (?, ?)", [1, "one"])
    return path


def test_a_new_file_is_for_its_owner_alone(path: Path) -> None:
    with connect(named(path)) as database:
        database.execute("INSERT INTO t VALUES (2, 'two')")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(["a#b c%20.db", "a#b c%20.db-shm", "a#b c%20.db-wal"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_values_come_back_as_they_went_in(path: Path) -> None:
    name = "O'Neil; DROP TABLE t; -- ñ\n"
    with connect(named(path)) as database:
        database.execute("INSERT INTO t VALUES (?, ?)", [2**63 - 1, name])
        assert database.execute("SELECT id, name FROM t WHERE name = ?", [name]) == [(2**63 - 1, name)]
        assert database.query("SELECT id, name FROM t WHERE id = ?", [1]).to_pylist() == [
            {"id": 1, "name": "one"}
        ]
        assert database.execute("SELECT 1 WHERE ? IS NULL", [None]) == [(1,)]
        assert database.execute("DELETE FROM t WHERE id = ?", [1]) == []


def test_a_column_of_many_nulls_keeps_its_type(path: Path) -> None:
    with connect(named(path)) as database:
        rows = pa.table({"id": pa.array(range(10, 3010)), "name": pa.array([None] * 2999 + ["last"])})
        database.append("t", rows)
        assert database.query("SELECT name FROM t WHERE id >= 10 ORDER BY id")["name"][2999].as_py() == "last"


def test_identifiers_and_constants_are_quoted(path: Path) -> None:
    odd = "a \"b\" 'c'"
    with connect(named(path)) as database:
        database.execute(f"CREATE TABLE {quoted(odd)} ({quoted(odd)} TEXT)")
        database.execute(f"INSERT INTO {quoted(odd)} VALUES ({literal(odd)})")
        assert database.query(f"SELECT * FROM {quoted(odd)}").to_pylist() == [{odd: odd}]
    with pytest.raises(ValueError, match="which a SQL statement cannot contain"):
        literal("a\0b")


def test_a_transaction_is_kept_whole_or_not_at_all(path: Path) -> None:
    with connect(named(path)) as database, connect(named(path)) as other:
        with database.transaction():
            database.execute("INSERT INTO t VALUES (2, 'two')")
            assert other.execute("SELECT count(*) FROM t") == [(1,)]
        assert other.execute("SELECT count(*) FROM t") == [(2,)]
        with pytest.raises(KeyboardInterrupt):
            _insert_and_be_interrupted(database)
        assert other.execute("SELECT id FROM t ORDER BY id") == [(1,), (2,)]
        with database.transaction():
            database.execute("INSERT INTO t VALUES (4, 'four')")
        assert other.execute("SELECT id FROM t ORDER BY id") == [(1,), (2,), (4,)]


def test_a_statement_that_fails_in_a_transaction_is_rolled_back(path: Path) -> None:
    """Values that were bound to the one that failed are not in the way of the next."""
    with connect(named(path)) as database, connect(named(path)) as other:
        with pytest.raises(PipelineError, match="UNIQUE constraint failed"):
            _insert_twice(database)
        assert database.execute("SELECT id FROM t") == [(1,)]
        other.execute("INSERT INTO t VALUES (2, 'two')")


def _insert_twice(database: Database) -> None:
    with database.transaction():
        database.execute("INSERT INTO t VALUES (9, 'nine')")
        database.execute("INSERT INTO t VALUES (?, ?)", [1, "again"])


def _insert_and_be_interrupted(database: Database) -> None:
    with database.transaction():
        database.execute("INSERT INTO t VALUES (3, 'three')")
        raise KeyboardInterrupt


def test_two_writers_wait_for_each_other(path: Path) -> None:
    """The second writer begins while the first is in its transaction, and ends after it."""
    tries, order = threading.Event(), []

    def second() -> None:
        with connect(named(path)) as database:
            tries.set()
            with database.transaction():
                order.append("second")
                database.execute("INSERT INTO t SELECT max(id) + 1, 'second' FROM t")

    waiting = threading.Thread(target=second)
    with connect(named(path)) as database:
        with database.transaction():
            waiting.start()
            assert tries.wait(60)
            database.execute("INSERT INTO t VALUES (2, 'first')")
            waiting.join(0.2)
            order.append("first")
        waiting.join(60)
        assert order == ["first", "second"]
        assert database.execute("SELECT * FROM t ORDER BY id") == [(1, "one"), (2, "first"), (3, "second")]


def test_a_writer_that_waited_too_long_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 1)
    with (
        connect(named(path)) as holder,
        connect(named(path)) as waiting,
        holder.transaction(),
        pytest.raises(PipelineError, match=r"database is locked .*check which run is `running`"),
        waiting.transaction(),
    ):
        pass


def test_many_open_a_new_database_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.db" for number in range(40)]
    barrier = FORKED.Barrier(4)
    with FORKED.Pool(4, _meet_at, [barrier]) as pool:
        assert pool.map(_write_each, [(paths, number) for number in range(4)], chunksize=1) == [None] * 4
    for path in paths:
        with connect(named(path)) as database:
            assert database.execute("SELECT count(*) FROM t") == [(4,)]
            assert database.execute("PRAGMA journal_mode") == [("wal",)]


def _meet_at(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _write_each(task: tuple[list[Path], int]) -> None:
    paths, number = task
    for path in paths:
        _barrier.wait(20)
        with connect(named(path)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)")
            with database.transaction():
                database.execute("INSERT INTO t VALUES (?)", [number])


def test_a_second_connection_leaves_the_first_its_hold_on_the_log(path: Path) -> None:
    """Whoever closes a database last removes its log; what another wrote to it then would be lost."""
    count = (
        f"import sqlite3; db = sqlite3.connect({str(path)!r}); print(*db.execute('SELECT count(*) FROM t'))"
    )
    count += "; db.close()"
    with connect(named(path)) as first:
        connect(named(path)).close()
        for rows in (2, 3):
            first.execute("INSERT INTO t VALUES (?, 'more')", [rows])
            assert subprocess.check_output([sys.executable, "-c", count], text=True) == f"({rows},)\n"


def test_other_kinds_of_databases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="'analytics_database' is of type 'mysql'; expected sqlite or postgres"
    ):
        connect(Connection("analytics_database", "mysql", host="db"))


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no database at all " * 100)
    with pytest.raises(PipelineError, match=r"notes\.txt: .*not a SQLite database; check the connection"):
        connect(named(file))
    assert file.read_text() == "no database at all " * 100
    for read_only in (False, True):
        with pytest.raises(PipelineError, match="cannot be opened as a database: Is a directory; "):
            connect(named(tmp_path), read_only=read_only)
    with pytest.raises(PipelineError, match="cannot be opened"):
        connect(named(tmp_path))
    with pytest.raises(PipelineError, match=r"missing\.db: no database yet"):
        connect(named(tmp_path / "missing.db"), read_only=True)
    assert not (tmp_path / "missing.db").exists()


def test_read_only_reads_what_another_writes(path: Path) -> None:
    with connect(named(path)) as writer, connect(named(path), read_only=True) as reader:
        writer.execute("INSERT INTO t VALUES (2, 'two')")
        assert reader.execute("SELECT count(*) FROM t") == [(2,)]
        with pytest.raises(PipelineError, match="make the file and its folder writable"):
            reader.execute("DELETE FROM t")
        assert writer.execute("SELECT count(*) FROM t") == [(2,)]


def test_closing_twice_does_nothing(path: Path) -> None:
    database = connect(named(path))
    database.close()
    database.close()


def test_a_full_disk_ends_in_words_and_changes_nothing(path: Path) -> None:
    with connect(named(path)) as database:
        [(pages,)] = database.execute("PRAGMA page_count")
        database.execute(f"PRAGMA max_page_count = {pages + 20}")
        rows = pa.table({"id": pa.array(range(10, 50_000)), "name": pa.array(["x" * 100] * 49_990)})
        with (
            pytest.raises(PipelineError, match=r"disk is full .*free space on this disk and run again"),
            database.transaction(),
        ):
            database.append("t", rows)
        assert database.execute("SELECT * FROM t") == [(1, "one")]
        database.execute("PRAGMA max_page_count = 1000000")
        with database.transaction():
            database.append("t", rows)
        assert database.execute("SELECT count(*) FROM t") == [(49_991,)]
        assert database.execute("PRAGMA integrity_check") == [("ok",)]


def _in_process(work: Callable[[Path], None], path: Path) -> str:
    """Run work in a process of its own and return what it said."""
    receiver, sender = FORKED.Pipe(duplex=False)
    process = FORKED.Process(target=_say, args=(work, path, sender))
    process.start()
    said = receiver.recv()
    process.join()
    return said


def _say(work: Callable[[Path], None], path: Path, sender) -> None:
    try:
        work(path)
        sender.send("nothing went wrong")
    except PipelineError as error:
        sender.send(f"PipelineError: {error}")
    except BaseException as error:
        sender.send(repr(error))
        raise


def _fill(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    with connect(named(path)) as database, database.transaction():
        for start in range(0, 100_000, 1000):
            rows = pa.table(
                {"id": pa.array(range(10 + start, 1010 + start)), "name": pa.array(["x" * 100] * 1000)}
            )
            database.append("t", rows)


def test_a_file_that_cannot_grow_ends_in_words_and_changes_nothing(path: Path) -> None:
    said = _in_process(_fill, path)
    assert said.startswith(f"PipelineError: {path}: ")
    assert said.endswith(
        "check that this disk has space and allows files of this size, and run again; nothing was changed)"
    )
    with connect(named(path)) as database:
        assert database.execute("SELECT * FROM t") == [(1, "one")]
        assert database.execute("PRAGMA integrity_check") == [("ok",)]


def _write_as_nobody(path: Path) -> None:
    with connect(named(path.parent.parent / "first.db")):
        pass  # what is imported now can be read by nobody
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    with connect(named(path)) as database:
        database.execute("DELETE FROM t")


def _opened_to_all(path: Path, mode: int) -> None:
    """Let everybody get as far as the folder of the database; the folder itself has the mode."""
    for folder in path.parent.parents:
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o711)
    path.parent.chmod(mode)


def test_a_folder_that_cannot_be_written_ends_in_words(path: Path) -> None:
    path.chmod(0o444)
    _opened_to_all(path, 0o555)
    refused = (
        f"PipelineError: {path}: cannot be opened as a database: Permission denied; "
        "make the file and its folder writable"
    )
    assert _in_process(_write_as_nobody, path) == refused
    path.chmod(0o200)
    assert _in_process(_write_as_nobody, path) == refused
    path.chmod(0o666)  # the file may be written, but the log beside it cannot be made
    assert "make the file and its folder writable" in _in_process(_write_as_nobody, path)
    path.parent.chmod(0o777)
    with connect(named(path)) as database:
        assert database.execute("SELECT * FROM t") == [(1, "one")]
        assert database.execute("PRAGMA integrity_check") == [("ok",)]
    path.chmod(0o666)
    assert _in_process(_write_as_nobody, path) == "nothing went wrong"
