"""One transaction a load: rows, deletions, watermark and accounts are committed together or not at all."""

import base64
import json
import random
import tempfile
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import loads
import pytest
from declared import PLAYER
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from loads import API, BULK
from seeds import SEED

from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.check_batch import Checked, check_batch
from notebook_pipeline.errors import DataRefused, PipelineError
from notebook_pipeline.sources.files.bulk_file import fetch_bulk, read_batches
from notebook_pipeline.sources.files.file_source import BULK as KIND_BULK
from notebook_pipeline.steps import prefetch
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.prefetch import prefetched
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import Database, quoted

pytestmark = pytest.mark.usefixtures("each_database")

DAY, NEXT = "2024-01-05", "2024-01-06"
BAD = loads.rejected((9, "bad", DAY), position="f.csv:3")


def everything(database: Database) -> dict[str, list[tuple]]:
    """Return all that a load writes, times left out."""
    tables = ("player", "rejected_row", "deleted_row", "loaded_file")
    tables += ("extraction", "sweep", "row_place", "quality_result")
    found = {table: _all_of(database, table) for table in tables}
    found["watermark"] = database.execute("SELECT dataset, source, value, run_id FROM watermark ORDER BY 2")
    found["committed"] = database.execute("SELECT run_id FROM pipeline_run WHERE committed_at IS NOT NULL")
    return found


def test_a_load_commits_everything_at_once(tmp_path: Path) -> None:
    origin = Origin(KIND_BULK, fingerprint="sha/contract")
    with loads.open_database(tmp_path) as database, connect(loads.connection(tmp_path)) as other:
        nothing = everything(other)
        session, _ = loads.start(database)
        with transaction(session, origin, loads.ANY_NUMBER) as merge:
            merge.merge([loads.checked([(2, "b", NEXT), (1, "a", DAY)], [BAD])])
            merge.compare_count(3)
            merge.verify()
            assert everything(other) == nothing
        run = session.run_id
        assert everything(other) == {
            "player": [
                (1, None, "Ada", "a", "QB", DAY, run, "bulk"),
                (2, None, "Ada", "b", "QB", NEXT, run, "bulk"),
            ],
            "rejected_row": [(run, "player", "f.csv:3", BAD.row, json.dumps(BAD.reasons))],
            "watermark": [("player", "bulk", NEXT, run)],
            "loaded_file": [("player", "sha/contract", run)],
            "extraction": [(run, "player", "bulk", run, 0)],
            "quality_result": [(run, "player", "source_count", "warn", 0, "2", "3", None, 2, None)],
            "deleted_row": [],
            "sweep": [],
            "row_place": [],
            "committed": [(run,)],
        }
        row = ledger.get_run(database, run)
        assert (row["watermark_before"], row["watermark_after"], row["status"]) == (None, NEXT, "running")
        assert loads.counts(database, run) == merge_counts(read=3, inserted=2, rejected=1)
        assert merge.result() == {
            "dataset": "player",
            **{f"rows_{name}": count for name, count in merge_counts(read=3, inserted=2, rejected=1).items()},
            "rows_in_table": 2,
            "rows_in_source": 3,
            "watermark": NEXT,
        }


def _all_of(database: Database, table: str) -> list[tuple]:
    columns = ", ".join(map(quoted, database.columns(table)))
    return database.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3")


def merge_counts(**given: int) -> dict[str, int]:
    names = ("read", "inserted", "updated", "unchanged", "stale", "rejected", "deleted")
    return {name: given.get(name, 0) for name in names}


def test_the_rows_in_the_table_are_counted_there(tmp_path: Path) -> None:
    """Others may have deleted some, which the counts of earlier runs do not show."""
    with loads.open_database(tmp_path) as database:
        loads.run(database, BULK, loads.checked([(key, "a", DAY) for key in (1, 2, 3)]))
        database.execute("DELETE FROM player WHERE player_id = 2")
        session, _ = loads.start(database)
        with transaction(session, API, loads.ANY_NUMBER) as merge:
            merge.merge([loads.checked([(4, "d", NEXT)])])
            assert not merge.compare_count(4)
            assert merge.in_table_and_source == (3, 4)


@pytest.mark.parametrize("kind", [PipelineError("the page is broken"), KeyboardInterrupt(), SystemExit()])
def test_whatever_ends_a_load_early_leaves_nothing_of_it(tmp_path: Path, kind: BaseException) -> None:
    with loads.open_database(tmp_path) as database:
        loads.run(database, BULK, loads.checked([(1, "a", DAY)], [BAD]))
        before = everything(database)
        session, _ = loads.start(database)
        with pytest.raises(type(kind)):
            _fail(session, kind)
        assert everything(database) == before
        assert set(loads.counts(database, session.run_id).values()) == {None}
        loads.run(database, API, loads.checked([(1, "b", NEXT)]))
        assert loads.rows_of(database) == [(1, "b", NEXT)]


def _fail(session: Session, kind: BaseException) -> None:
    with transaction(session, API, loads.ANY_NUMBER) as merge:
        merge.merge([loads.checked([(1, "b", NEXT), (2, "c", NEXT)], [BAD])])
        merge.compare_keys(loads.keys(2), delete=True, max_deleted_percent=100.0)
        raise kind


def test_an_error_in_reading_ends_the_load(tmp_path: Path) -> None:
    def batches() -> Iterator[Checked]:
        yield loads.checked([(1, "a", DAY)])
        raise PipelineError("f.csv: damaged after row 1")

    with loads.open_database(tmp_path) as database:
        with pytest.raises(PipelineError, match="damaged after row 1"):
            loads.run(database, BULK, *batches())
        session, _ = loads.start(database)
        with pytest.raises(PipelineError, match="damaged after row 1"):
            _merge(session, batches())
        assert loads.rows_of(database) == []


def _merge(session: Session, batches: Iterator[Checked]) -> None:
    with transaction(session, BULK, loads.ANY_NUMBER) as merge:
        merge.merge(batches)


@pytest.mark.parametrize(
    ("limits", "rejected", "refused"),
    [
        (Limits(), 1, None),
        (Limits(), 2, None),
        (
            Limits(max_rejected_percent=0.0),
            2,
            r"2 of 101 rows were rejected, more than max_rejected_percent = 0\.0 allows",
        ),
        (Limits(max_rejected_rows=1, max_rejected_percent=100.0), 1, None),
        (
            Limits(max_rejected_rows=1, max_rejected_percent=100.0),
            2,
            "more than max_rejected_rows = 1 allows",
        ),
        (
            Limits(max_rejected_rows=0, max_rejected_percent=100.0),
            1,
            "more than max_rejected_rows = 0 allows",
        ),
        (Limits(max_rejected_rows=5, max_rejected_percent=0.0), 2, "more than max_rejected_percent"),
    ],
)
def test_more_rejected_rows_than_allowed_are_refused(
    tmp_path: Path, limits: Limits, rejected: int, refused: str | None
) -> None:
    batch = loads.checked([(key, "a", DAY) for key in range(99 if rejected == 2 else 100)], [BAD] * rejected)
    with loads.open_database(tmp_path) as database:
        session, _ = loads.start(database)
        expected = pytest.raises(DataRefused, match=refused) if refused else loads.nothing()
        with expected as caught:
            loads.run(database, Origin(KIND_BULK, fingerprint="sha"), batch, limits=limits, session=session)
        row = ledger.get_run(database, session.run_id)
        found = everything(database)
        assert len(found["rejected_row"]) == rejected
        if refused:
            assert caught
            assert "The first is f.csv:3: position: 'QB' is odd." in str(caught.value)
            assert f"`notebook-pipeline show {session.run_id}`" in str(caught.value)
            assert {name: found[name] for name in ("player", "watermark", "loaded_file", "committed")} == {
                "player": [], "watermark": [], "loaded_file": [], "committed": []
            }  # fmt: skip
            assert (row["rows_read"], row["rows_rejected"], row["rows_inserted"]) == (101, rejected, None)
        else:
            assert loads.counts(database, session.run_id)["rejected"] == rejected


def test_the_first_ten_thousand_rejected_rows_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    bad = [loads.rejected((key, "a", DAY), position=f"f.csv:{key}") for key in range(15_000)]
    with loads.open_database(tmp_path) as database:
        session, _ = loads.start(database)
        with pytest.raises(DataRefused, match="15,001 of 15,002 rows were rejected"):
            loads.run(
                database,
                BULK,
                loads.checked([(1, "a", DAY)], bad[:7_000]),
                Checked(loads.good([]), bad[7_000:], 8_001),
                limits=Limits(),
                session=session,
            )
        assert database.execute("SELECT count(*), max(rowid) FROM rejected_row") == [(10_000, 10_000)]
        assert database.execute("SELECT position FROM rejected_row WHERE rowid = 10000") == [("f.csv:9999",)]
        assert ledger.get_run(database, session.run_id)["rows_rejected"] == 15_001


def test_accounts_that_do_not_add_up_are_not_committed(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        session, _ = loads.start(database)
        with (
            pytest.raises(PipelineError, match="read 1 row, merged 0 and rejected 0"),
            transaction(session, BULK, loads.ANY_NUMBER) as merge,
        ):
            merge.rows_read += 1
        assert everything(database)["committed"] == []


def test_a_run_that_was_settled_as_lost_cannot_commit(tmp_path: Path) -> None:
    """Its runner was killed, the kernel lived on for a moment, and somebody found the row in between."""
    with loads.open_database(tmp_path) as database:
        session, _ = loads.start(database)
        artefact = tmp_path / str(ledger.get_run(database, session.run_id)["artifact"])
        artefact.parent.mkdir(parents=True)
        artefact.touch()
        before = everything(database)
        assert len(ledger.settle_lost(database, tmp_path)) == 1
        with pytest.raises(PipelineError, match="it was closed, most likely as lost; nothing was committed"):
            loads.run(database, BULK, loads.checked([(1, "a", DAY)], [BAD]), session=session)
        assert everything(database) == before
        assert ledger.get_run(database, session.run_id)["error"] == "process lost"


def test_the_watermark_is_what_was_merged_and_not_what_was_rejected(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        future = loads.rejected((1, "a", "9999-12-31"), "api")
        run = loads.run(database, API, loads.checked([(1, "a", DAY)], [future]))
        loads.run(database, API, loads.checked([]))
        loads.run(database, API, loads.checked([(1, "a", "2023-01-01")]))
        loads.run(database, BULK, loads.checked([(1, "a", "2023-06-01")]))
        assert everything(database)["watermark"][0] == ("player", "api", DAY, run)
        assert everything(database)["watermark"][1][2] == "2023-06-01"


def test_rows_dated_in_the_future_move_no_watermark_past_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be older than its loading, so only its other rows count; an API was read until today."""
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2023-07-01")
    with loads.open_database(tmp_path) as database:
        loads.run(database, BULK, loads.checked([(1, "a", "2023-06-01"), (2, "b", "2999-01-01")]))
        assert [row[1:3] for row in everything(database)["watermark"]] == [("bulk", "2023-06-01")]
        loads.run(database, API, loads.checked([(3, "c", "2999-01-01")]))
        assert [row[1:3] for row in everything(database)["watermark"]] == [
            ("api", "2023-07-01"),
            ("bulk", "2023-06-01"),
        ]


@pytest.mark.only("sqlite")
def test_two_loads_at_once_wait_for_each_other(tmp_path: Path) -> None:
    merging, may_go_on = threading.Event(), threading.Event()

    def batches() -> Iterator[Checked]:
        yield loads.checked([(1, "a", DAY)])
        merging.set()
        assert may_go_on.wait(60)
        yield loads.checked([(2, "a", DAY)])

    def first() -> None:
        with loads.open_database(tmp_path) as database:
            _merge(loads.start(database)[0], batches())

    def second() -> None:
        with loads.open_database(tmp_path) as database:
            loads.run(database, BULK, loads.checked([(1, "b", DAY), (3, "b", DAY)]))

    loads.open_database(tmp_path).close()
    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert merging.wait(60)
    threads[1].start()
    threads[1].join(0.3)
    assert threads[1].is_alive()
    may_go_on.set()
    for thread in threads:
        thread.join(60)
    with loads.open_database(tmp_path) as database:
        assert loads.rows_of(database) == [(1, "b", DAY), (2, "a", DAY), (3, "b", DAY)]


def test_the_next_batches_are_made_while_the_last_is_used() -> None:
    made: list[int] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    ahead = prefetched(items())
    assert next(ahead) == 0
    assert third.wait(60)  # although nobody asked for it
    assert list(ahead) == list(range(1, 10))
    assert made == list(range(10))


def test_no_more_is_made_than_is_used_soon() -> None:
    """Memory stays flat however slow the database is, and a load that fails does not read to the end."""
    made: list[int] = []
    endless = prefetched(made.append(number) or number for number in range(1_000_000))
    for number in range(5):
        assert next(endless) == number
    endless.close()
    assert len(made) <= 5 + prefetch.BATCHES_AHEAD + 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.mark.only("sqlite")
def test_a_full_disk_leaves_the_tables_as_they_were(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        loads.run(database, BULK, loads.checked([(1, "a", DAY)]))
        session, _ = loads.start(database)
        before = everything(database)
        [(pages,)] = database.execute("PRAGMA page_count")
        database.execute(f"PRAGMA max_page_count = {pages + 10}")
        many = loads.checked([(key, "b", NEXT) for key in range(20_000)])
        with pytest.raises(PipelineError, match=r"disk is full .*free space on this disk and run again"):
            loads.run(database, BULK, many, session=session)
        assert everything(database) == before
        assert ledger.finish_run(database, session.run_id, "failed", "disk is full")
        database.execute("PRAGMA max_page_count = 1000000")
        loads.run(database, BULK, many)
        assert database.execute("SELECT count(*), min(last_name) FROM player") == [(20_000, "b")]
        assert database.execute("PRAGMA integrity_check") == [("ok",)]


DEFECTS = {
    "good": "{key},00-1,Ada,O'Neil,QB,2024-01-05",
    "no key": ",00-1,Ada,O'Neil,QB,2024-01-05",
    "key is text": "x{key},00-1,Ada,O'Neil,QB,2024-01-05",
    "key is too long": "{key}9999999999999999999,00-1,Ada,O'Neil,QB,2024-01-05",
    "key below zero": "-{key},00-1,Ada,O'Neil,QB,2024-01-05",
    "no name": "{key},00-1,,O'Neil,QB,2024-01-05",
    "unknown position": "{key},00-1,Ada,O'Neil,GOALIE {key},2024-01-05",
    "no day": "{key},00-1,Ada,O'Neil,QB,",
    "no such day": "{key},00-1,Ada,O'Neil,QB,2024-02-30",
    "far future": "{key},00-1,Ada,O'Neil,QB,9999-12-31",
    "too few fields": "{key},00-1,Ada",
    "too many fields": "{key},00-1,Ada,O'Neil,QB,2024-01-05,more",
    "no UTF-8": "{key},00-1,Ada,O'N\xffil,QB,2024-01-05",
    "several at once": "{key},00-1,,O'Neil,GOALIE,2024-02-30",
}


# The fixture only says where databases are.
UNCHANGED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def adds_up(dice: random.Random, place: Path) -> None:
    """Load a file with every kind of row, and find every row again: in the table, or among the rejected."""
    kinds = [dice.choice(["good", "good", *DEFECTS]) for _ in range(dice.randint(1, 60))]
    keys = [dice.randint(1, 40) for _ in kinds]
    lines = [DEFECTS[kind].format(key=key) for kind, key in zip(kinds, keys, strict=True)]
    header = ",".join(PLAYER.schema.names)
    with tempfile.TemporaryDirectory(dir=place) as name, loads.open_database(Path(name)) as database:
        folder = Path(name)
        (folder / "p.csv").write_bytes("\n".join([header, *lines, ""]).encode("latin-1"))
        bulk = fetch_bulk("p.csv", Connection("files", "fs", extra={"path": name}), folder / "cache", PLAYER)
        batches = [check_batch(raw, PLAYER, date(2024, 12, 31)) for raw in read_batches(bulk, PLAYER)]
        run = loads.run(database, BULK, *batches)
        counts = loads.counts(database, run)
        good = {key for kind, key in zip(kinds, keys, strict=True) if kind == "good"}
        expected = {
            "read": len(kinds),
            "inserted": len(good),
            "unchanged": kinds.count("good") - len(good),
        }
        assert counts == merge_counts(**expected, rejected=len(kinds) - kinds.count("good"))
        assert [row[0] for row in loads.rows_of(database)] == sorted(good)
        found = database.execute('SELECT position, "row", reasons FROM rejected_row ORDER BY rowid')
        odd = {f"p.csv:{number}": lines[number - 2] for number, kind in enumerate(kinds, 2) if kind != "good"}
        assert {position for position, _, _ in found} == odd.keys()
        for position, row, reasons in found:
            assert json.loads(reasons)
            _hold_to_line(json.loads(row), odd[position])


def _hold_to_line(received: object, line: str) -> None:
    """Hold a rejected row to the line it was."""
    fields = received if isinstance(received, dict) else {}
    if fields.keys() == set(PLAYER.schema.names):
        assert [value for value in fields.values() if value] == list(filter(None, line.split(",")))
    elif isinstance(received, dict):  # not UTF-8
        assert base64.b64decode(received["base64"]) == line.encode("latin-1")
    else:
        assert received == line


@settings(max_examples=15, suppress_health_check=UNCHANGED)
@given(dice=st.randoms(use_true_random=False))
def test_every_row_is_accounted_for(tmp_path: Path, dice: random.Random) -> None:
    adds_up(dice, tmp_path)


@pytest.mark.soak
@pytest.mark.only("sqlite")  # a thousand databases; what differs between files is decided before one is asked
@seed(SEED)
@settings(max_examples=1000, suppress_health_check=UNCHANGED)
@given(dice=st.randoms(use_true_random=False))
def test_every_row_is_accounted_for_in_many_files(tmp_path: Path, dice: random.Random) -> None:
    adds_up(dice, tmp_path)
