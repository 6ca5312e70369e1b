"""Merging batches: what is appended, what is compared, what is staged, and the watermark."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import loads
import pyarrow as pa
import pytest
from declared import PLAYER
from loads import API, BULK

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare import Column
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage import fast_merge
from notebook_pipeline.storage import merge as module
from notebook_pipeline.storage.database import Database
from notebook_pipeline.storage.merge import Merge
from notebook_pipeline.storage.merge_counts import MergeCounts
from notebook_pipeline.storage.staging import Staging

pytestmark = pytest.mark.usefixtures("each_database")

DAY, NEXT = "2024-01-05", "2024-01-06"


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return the keys of every batch that is staged from now on."""
    seen: list[list[int]] = []
    merge = Staging.merge

    def watched(self: Staging, batch: pa.RecordBatch, *, has_versions: bool = False):
        seen.append(batch.column("player_id").to_pylist())
        return merge(self, batch, has_versions=has_versions)

    monkeypatch.setattr(Staging, "merge", watched)
    return seen


def merged(
    database: Database, rows: Sequence[loads.Row], origin: Origin = BULK, run_id: str = "r"
) -> MergeCounts:
    with database.transaction():
        merge = Merge(database, PLAYER, run_id=run_id, origin=origin, place=run_id)
        return merge.add(loads.good(rows))


def test_counts_add_up() -> None:
    assert MergeCounts(1, 2, 3, 4) + MergeCounts(10, 20, 30, 40) == MergeCounts(11, 22, 33, 44)
    assert MergeCounts(1, 2, 3, 4).total == 10


def test_new_keys_beyond_the_last_are_appended_in_any_order(tmp_path: Path, staged: list[list[int]]) -> None:
    with loads.open_database(tmp_path) as database:
        assert merged(database, [(3, "c", DAY), (1, "a", DAY), (2, "b", DAY)]) == MergeCounts(inserted=3)
        assert merged(database, [(5, "e", DAY), (4, "d", DAY)], run_id="o'clock") == MergeCounts(inserted=2)
        assert staged == []
        assert loads.players(database) == [
            (1, "a", DAY, "r", "bulk"),
            (2, "b", DAY, "r", "bulk"),
            (3, "c", DAY, "r", "bulk"),
            (4, "d", DAY, "o'clock", "bulk"),
            (5, "e", DAY, "o'clock", "bulk"),
        ]


def test_only_what_is_not_known_is_staged(tmp_path: Path, staged: list[list[int]]) -> None:
    rows = [(key, "a", DAY) for key in range(100)]
    with loads.open_database(tmp_path) as database:
        merged(database, rows)
        changed = [*rows[:50], (50, "b", NEXT), (51, "z", "2024-01-01"), *rows[52:99], (150, "new", DAY)]
        assert merged(database, changed, run_id="s") == MergeCounts(1, 1, 97, 1)
        assert staged == [[50, 51, 150]]
        assert merged(database, rows[:50]) == MergeCounts(unchanged=50)
        assert len(staged) == 1
        assert loads.players(database) == [
            *[(key, name, day, "r", "bulk") for key, name, day in rows[:50]],
            (50, "b", NEXT, "s", "bulk"),
            *[(key, name, day, "r", "bulk") for key, name, day in rows[51:]],
            (150, "new", DAY, "s", "bulk"),
        ]


def test_what_is_known_from_the_other_source_is_staged(tmp_path: Path, staged: list[list[int]]) -> None:
    rows = [(1, "a", DAY), (2, "b", DAY)]
    with loads.open_database(tmp_path) as database:
        merged(database, rows)
        assert merged(database, rows[:1], API) == MergeCounts(unchanged=1)
        assert merged(database, rows) == MergeCounts(unchanged=2)
        assert staged == [[1]]
        assert loads.players(database) == [(1, "a", DAY, "r", "api"), (2, "b", DAY, "r", "bulk")]


@pytest.mark.only("sqlite")
def test_after_a_batch_of_changes_the_next_is_written_at_once(
    tmp_path: Path, staged: list[list[int]]
) -> None:
    with loads.open_database(tmp_path) as database:
        merged(database, [(key, "a", DAY) for key in range(20) if key != 12])
        with database.transaction():
            merge = Merge(database, PLAYER, run_id="s", origin=API, place="s")
            counts = [
                merge.add(loads.good(rows))
                for rows in (
                    [(key, "b", NEXT) for key in range(5)],
                    [(key, "b", NEXT) for key in range(5, 8)],
                    [(8, "b", NEXT), (9, "b", DAY), (10, "a", DAY), (11, "b", "2024-01-01"), (12, "b", NEXT)],
                )
            ]
        assert counts == [MergeCounts(updated=5), MergeCounts(updated=3), MergeCounts(1, 2, 1, 1)]
        assert staged == [[0, 1, 2, 3, 4], [9, 10, 11]]
        assert loads.players(database) == [
            *[(key, "b", NEXT, "s", "api") for key in range(9)],
            (9, "b", DAY, "s", "api"),
            (10, "a", DAY, "r", "api"),
            (11, "a", DAY, "r", "bulk"),
            (12, "b", NEXT, "s", "api"),
            *[(key, "a", DAY, "r", "bulk") for key in range(13, 20)],
        ]


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("seed", range(6))
def test_whether_rows_are_written_at_once_or_compared_makes_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    any_of = random.Random(seed)  # noqa: S311
    written = 0

    def batch() -> list[loads.Row]:
        low, days = (
            any_of.randrange(60),
            any_of.choice(([NEXT], [DAY, NEXT], ["2024-01-01", DAY, NEXT, "2024-01-07"])),
        )
        keys = any_of.sample(range(low, low + 40), any_of.randrange(1, 30)) * any_of.choice((1, 1, 2))
        return [(key, any_of.choice("ab"), any_of.choice(days)) for key in keys]

    runs = [(origin, [batch() for _ in range(8)]) for origin in (BULK, API, API, BULK)]
    write = module.write_newer

    def watched(*arguments: Any) -> tuple[int, int]:
        nonlocal written
        counts = write(*arguments)
        written += sum(counts)
        return counts

    results = []
    for name, instead in (("at once", watched), ("compared", lambda *_: (0, 0))):
        monkeypatch.setattr(module, "write_newer", instead)
        with loads.open_database(tmp_path / name) as database:
            counts = []
            for number, (origin, batches) in enumerate(runs):
                with database.transaction():
                    merge = Merge(database, PLAYER, run_id=str(number), origin=origin, place=str(number))
                    counts += [merge.add(loads.good(rows)) for rows in batches]
            results.append((counts, loads.players(database)))
    assert results[0] == results[1]
    assert written


def test_a_few_rows_among_many_are_not_compared_with_all_between(tmp_path: Path) -> None:
    """What a small update costs must not grow with the table."""
    with loads.open_database(tmp_path) as database:
        merged(database, [(key, "a", DAY) for key in range(1000)])
        few = loads.good([(0, "a", DAY), (999, "a", DAY)])
        assert fast_merge.is_known(database, PLAYER, few, is_live=False) is None
        none = loads.good([(2000, "a", DAY)])
        assert fast_merge.is_known(database, PLAYER, none, is_live=False) is None
        dense = loads.good([(3, "a", DAY), (4, "b", DAY), (6, "a", DAY)])
        known = fast_merge.is_known(database, PLAYER, dense, is_live=False)
        assert known is not None
        assert known.tolist() == [True, False, True]


@pytest.mark.only("sqlite")
def test_a_small_update_scans_no_table_that_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the database how it goes about every statement of an update."""
    said: list[tuple[str, Sequence[Any]]] = []
    execute = Database.execute

    def watched(self: Database, sql: str, values: Sequence[Any] = ()) -> list[tuple]:
        said.append((sql, values))
        return execute(self, sql, values)

    with loads.open_database(tmp_path) as database:
        everybody = [(key, "a", DAY) for key in range(1000)]
        loads.run(database, BULK, loads.checked(everybody, [loads.rejected((5, "b", DAY))]))
        loads.run(database, API, loads.checked(everybody), present=range(999))
        monkeypatch.setattr(Database, "execute", watched)
        few = [(5, "a", DAY), (300, "b", NEXT), (999, "a", DAY), (2000, "new", NEXT)]
        loads.run(database, API, loads.checked(few, [loads.rejected((7, "b", DAY), "api")]))
        monkeypatch.undo()
        steps = {
            step[3]: sql
            for sql, values in said
            if sql.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE")
            for step in execute(database, f"EXPLAIN QUERY PLAN {sql}", values)
        }
    small = ("SCAN s", "SCAN v", "SCAN _", "SCAN json_each", "SCAN (", "SCAN CONSTANT ROW")
    small += (
        "SCAN pragma_",
        "SCAN counted",
        "SCAN pipeline_run USING INDEX pipeline_run_running",
    )  # only running runs
    small += ("SCAN rejected_row USING COVERING INDEX rejected_row_player",)  # until the first
    scans = {
        step: sql for step, sql in steps.items() if step.startswith("SCAN") and not step.startswith(small)
    }
    assert scans == {}


def test_a_row_without_a_key_is_not_given_one(tmp_path: Path) -> None:
    schema = loads.good([]).schema
    row = pa.RecordBatch.from_pylist([{"first_name": "a", "last_name": "b", "position": "QB"}], schema)
    with loads.open_database(tmp_path) as database, database.transaction():
        merge = Merge(database, PLAYER, run_id="r", origin=BULK, place="r")
        with pytest.raises(PipelineError, match="player: a row without player_id cannot be merged"):
            merge.add(row)


CODES = replace(
    PLAYER,
    name="code",
    columns=(
        Column("code", pa.string(), nullable=False),
        Column("weight", pa.float64()),
        Column("day", pa.date32(), nullable=False),
    ),
    key="code",
    cursor="day",
    rules=(),
    checks=(),
)


def codes(*rows: tuple[str, float | None, str]) -> pa.RecordBatch:
    schema = pa.schema([("code", pa.string()), ("weight", pa.float64()), ("day", pa.string())])
    return pa.RecordBatch.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)


def test_keys_may_be_text(tmp_path: Path) -> None:
    outcomes: list[Any] = []
    with loads.open_database(tmp_path, CODES) as database, database.transaction():
        merge = Merge(database, CODES, run_id="r", origin=BULK, place="r")
        for batch in (
            codes(("é", None, DAY), ("a", 1.5, DAY), ("Z", 0.1, DAY)),
            codes(("a", 1.5, DAY), ("é", 2.0, DAY), ("é", None, NEXT), ("b'", 3.0, DAY)),
            codes(("ω", 1.0, DAY)),
        ):
            outcomes.append(merge.add(batch))
        assert outcomes == [MergeCounts(inserted=3), MergeCounts(1, 2, 1, 0), MergeCounts(inserted=1)]
        assert database.execute("SELECT code, weight, day FROM code ORDER BY code") == [
            ("Z", 0.1, DAY),
            ("a", 1.5, DAY),
            ("b'", 3.0, DAY),
            ("é", None, NEXT),
            ("ω", 1.0, DAY),
        ]


def test_a_watermark_never_goes_back(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        assert module.read_watermark(database, "player", "bulk") is None
        for value, run_id in ((DAY, "a"), (NEXT, "b"), (DAY, "c"), (NEXT, "d")):
            module.save_watermark(database, PLAYER, "bulk", value, run_id=run_id, now="t")
        module.save_watermark(database, PLAYER, "api", DAY, run_id="e", now="t")
        assert database.execute("SELECT * FROM watermark ORDER BY source") == [
            ("player", "api", DAY, "e", "t"),
            ("player", "bulk", NEXT, "b", "t"),
        ]
        assert module.read_watermark(database, "player", "bulk") == NEXT
