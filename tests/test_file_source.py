"""Bulk files as a source: loaded once, snapshots with their keys, and what a lacking column means."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from declared import PLAYER

from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.check_batch import check_batch
from notebook_pipeline.declare import Column, Dataset, Files
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.sources.files.bulk_file import fetch_bulk
from notebook_pipeline.sources.files.file_source import BULK, SNAPSHOT, FileSource
from notebook_pipeline.sources.source import Ending
from notebook_pipeline.storage.database import Database
from tests import loads
from tests.bulk_data import TODAY, csv_bytes, folder, player

WHOLE = replace(PLAYER, files=Files(snapshot=True))


def open_source(
    database: Database, base: Path, dataset: Dataset = WHOLE, *, force: bool = False
) -> FileSource:
    bulk = fetch_bulk("in", folder(base), base / "cache", dataset)
    return FileSource(bulk, dataset, database, force=force)


def ended(source: FileSource) -> Ending:
    for _ in source.batches():
        pass
    return source.ending()


def loaded(database: Database, source: FileSource, dataset: Dataset = WHOLE) -> str:
    batches = [check_batch(raw, dataset, TODAY) for raw in source.batches()]
    return loads.run(database, source.ending().origin, *batches)


def put(base: Path, name: str, data: bytes) -> None:
    (base / "in").mkdir(exist_ok=True)
    (base / "in" / name).write_bytes(data)


def test_a_snapshot_tells_the_keys_of_all_its_rows(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", csv_bytes([player(1), player(2, position="GOALIE")]))
    put(tmp_path, "b.csv", csv_bytes([player(3)]))
    with loads.open_database(tmp_path) as database:
        source = open_source(database, tmp_path)
        ending = ended(source)
    assert (source.kind, ending.origin.kind) == (SNAPSHOT, SNAPSHOT)
    assert (ending.keys.to_pylist(), ending.shows_missing, ending.notes) == ([1, 2, 3], True, [])


@pytest.mark.parametrize(
    "line", [b"x,,A,B,QB,2026-01-01\n", b",,A,B,QB,2026-01-01\n", b"4,,A\n", b"4\xff,,A,B,QB,2026-01-01\n"]
)
def test_while_a_key_cannot_be_read_nothing_is_missing(tmp_path: Path, line: bytes) -> None:
    put(tmp_path, "a.csv", csv_bytes([player(1)]) + line)
    with loads.open_database(tmp_path) as database:
        ending = ended(open_source(database, tmp_path))
    assert (ending.keys.to_pylist(), ending.shows_missing) == ([1], False)
    assert ending.notes == [
        "1 rows of this snapshot have no key that can be read, so no stored row is deleted: it may be one "
        "of them; fix them, and load the snapshot again"
    ]


def test_a_rejected_row_whose_key_can_be_read_is_present(tmp_path: Path) -> None:
    lines = [
        b"1;;A;B;QB;2026-01-01;1,5",
        b"2;;A;B;QB;2026-01-01;1.5",
        b'"3";;A;B;GOALIE;2026-01-01;2',
        b"1.5;;A;B;QB;2026-01-01;2",
    ]
    columns = (*PLAYER.columns, Column("score", pa.float64()))
    files = Files(snapshot=True, decimal=",", delimiter=";")
    scored = replace(PLAYER, columns=columns, files=files)
    put(tmp_path, "a.csv", ";".join(scored.schema.names).encode() + b"\n" + b"\n".join(lines))
    with loads.open_database(tmp_path) as database:
        ending = ended(open_source(database, tmp_path, scored))
    assert (sorted(ending.keys.to_pylist()), ending.shows_missing) == ([1, 2, 3], False)
    put(tmp_path, "a.csv", csv_bytes([player(1)]) + b"2,\xff,A,B,QB,2026-01-01\n")
    with loads.open_database(tmp_path) as database:
        ending = ended(open_source(database, tmp_path))
    assert (ending.keys.to_pylist(), ending.shows_missing) == ([1, 2], True)


def test_an_empty_snapshot_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", csv_bytes([]))
    with loads.open_database(tmp_path) as database, pytest.raises(DataRefused) as error:
        ended(open_source(database, tmp_path))
    assert str(error.value) == (
        "in: found a snapshot without rows, which would delete every row of player; check the file"
    )


def test_a_key_of_several_columns_is_a_struct(tmp_path: Path) -> None:
    columns = (Column("a", pa.int64(), nullable=False), Column("b", pa.string(), nullable=False))
    pairs = Dataset("pair", columns, ("a", "b"), files=Files(snapshot=True))
    put(tmp_path, "a.jsonl", b'{"a": 1, "b": "x"}\n{"a": 1, "b": "y"}\n{"a": "?", "b": "y"}\n')
    with loads.open_database(tmp_path) as database:
        ending = ended(open_source(database, tmp_path, pairs))
    assert ending.keys.to_pylist() == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}]
    assert not ending.shows_missing


def test_a_snapshot_is_loaded_again_once_another_was_loaded(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        for ids, again in (([1, 2], False), ([1, 2], True), ([1], False), ([1, 2], False)):
            put(tmp_path, "a.csv", csv_bytes([player(number) for number in ids]))
            source = open_source(database, tmp_path)
            ending = ended(source)
            assert ("already loaded" in "".join(ending.notes), ending.shows_missing) == (again, not again)
            loaded(database, open_source(database, tmp_path))


def test_a_file_is_loaded_again_when_it_is_declared_otherwise(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", csv_bytes([player(1)]))
    with loads.open_database(tmp_path) as database:
        run = loaded(database, open_source(database, tmp_path, PLAYER), PLAYER)
        source = open_source(database, tmp_path, PLAYER)
        assert (source.kind, list(source.batches())) == (BULK, [])
        note = f"in was already loaded by run {run}; force = true loads it again"
        assert source.ending() == Ending(Origin(BULK), [note], 0, keys=source.ending().keys)
        other = replace(PLAYER, files=Files(nulls=("", "NA")))
        assert len(list(open_source(database, tmp_path, other).batches())) == 1


def test_a_load_without_an_optional_column_sets_no_watermark(tmp_path: Path) -> None:
    columns = (*PLAYER.columns, Column("size", pa.int64()))
    sized = replace(PLAYER, columns=columns, files=Files(optional=("size",)))
    put(tmp_path, "a.csv", csv_bytes([player(1)]))
    with loads.open_database(tmp_path) as database:
        ending = open_source(database, tmp_path, sized).ending()
    assert not ending.origin.moves_watermark
    assert ending.notes == [
        "missing in the file, so null: size; therefore the load sets no starting watermark, and the next "
        "live run reads everything"
    ]
