"""Several versions of a key in one batch give what they give one after the other."""

import random
from pathlib import Path

import loads
import pyarrow as pa
import pytest
from loads import API, BULK

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.declare import Column, Dataset
from notebook_pipeline.storage.merge import Merge
from notebook_pipeline.storage.merge_counts import MergeCounts

pytestmark = pytest.mark.usefixtures("each_database")

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")


def pairs(cursor: str | None) -> Dataset:
    """Return a dataset whose key is a text and a number."""
    columns = (
        Column("team", pa.string(), nullable=False),
        Column("number", pa.int64(), nullable=False),
        Column("name", pa.string()),
        Column("day", pa.date32(), nullable=False),
    )
    return Dataset("pair", columns, ("team", "number"), cursor)


def batch(rows: list[tuple]) -> pa.RecordBatch:
    names = ("team", "number", "name", "day")
    types = (pa.string(), pa.int64(), pa.string(), pa.string())
    return pa.RecordBatch.from_pydict(
        {
            name: pa.array([row[place] for row in rows], kind)
            for place, (name, kind) in enumerate(zip(names, types, strict=True))
        }
    )


def table(database: loads.Database) -> list[tuple]:
    return database.execute('SELECT team, "number", name, day, _source FROM pair ORDER BY team, "number"')


@pytest.mark.parametrize("origin", [BULK, API])
@pytest.mark.parametrize("cursor", ["day", None])
@pytest.mark.parametrize("seed", range(1))
def test_versions_of_a_batch_go_one_after_the_other(
    tmp_path: Path, seed: int, cursor: str | None, origin: Origin
) -> None:
    dice = random.Random(seed)  # noqa: S311
    rows = [
        (dice.choice("aé"), dice.randrange(3), dice.choice(("x", "y", None)), dice.choice(DAYS))
        for _ in range(60)
    ]
    before = [("a", 0, "x", DAYS[1]), ("é", 1, "y", DAYS[2]), ("é", 7, "y", DAYS[2])]
    found = []
    for name, parts in (("at once", [rows]), ("one by one", [[row] for row in rows])):
        with loads.open_database(tmp_path / name, pairs(cursor)) as database:
            with database.transaction():
                merge = Merge(database, pairs(cursor), run_id="0", origin=BULK, place="0")
                merge.add(batch(before))
            with database.transaction():
                merge = Merge(database, pairs(cursor), run_id="1", origin=origin, place="1")
                counts = sum((merge.add(batch(part)) for part in parts), MergeCounts())
            found.append((counts, table(database), merge.noted["repeated"] > 0))
    assert found[0] == found[1]
    assert found[0][0].total == 60
    assert found[0][2] == (origin is BULK)


def test_a_key_that_is_too_short_is_noticed(tmp_path: Path) -> None:
    """The key of a roster is the team and the player; with the team alone, players replace each other."""
    declared = Dataset("pair", pairs("day").columns, "team", "day")
    rows = [(f"team {number % 20}", number, "x", DAYS[0]) for number in range(140)]
    with loads.open_database(tmp_path, declared) as database, database.transaction():
        merge = Merge(database, declared, run_id="1", origin=BULK, place="1")
        assert merge.add(batch(rows)) == MergeCounts(inserted=20, updated=120)
        assert merge.noted["repeated"] == 120
        assert merge.examples["repeated"][0] == ("team 0",)


def test_a_key_that_a_later_batch_repeats_is_noticed(tmp_path: Path) -> None:
    with loads.open_database(tmp_path, pairs("day")) as database, database.transaction():
        merge = Merge(database, pairs("day"), run_id="1", origin=BULK, place="1")
        merge.add(batch([("a", 1, "x", DAYS[0]), ("a", 2, "x", DAYS[0]), ("b", 1, "x", DAYS[0])]))
        merge.add(batch([("a", 2, "y", DAYS[0]), ("b", 1, "z", DAYS[1])]))
        assert merge.noted["repeated"] == 1
        assert merge.examples["repeated"] == [("a", 2)]
