"""Columns that a file lacks, has, or gets from its folders."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from declared import PLAYER
from pyarrow import parquet

from notebook_pipeline.connections import Connection
from notebook_pipeline.declare import Column, Dataset, Files
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.sources.files.bulk_file import fetch_bulk
from tests.bulk_data import folder, load, parquet_table, player

SIZED = (*PLAYER.columns, Column("size", pa.int64()))
OPTIONAL = replace(PLAYER, columns=SIZED, files=Files(optional=("size",)))
FOLDERS = replace(PLAYER, files=Files(folders=("last_changed_date", "position")))
WITHOUT = [{name: value for name, value in player(1).items() if name not in FOLDERS.files.folders}]


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        lines = [",".join(rows[0]), *(",".join(f'"{value}"' for value in row.values()) for row in rows)]
        path.write_text("\n".join(lines))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_an_optional_column_that_is_missing_is_null(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / "in" / f"a.{suffix}", [player(1)])
    write(tmp_path / "in" / f"b.{suffix}", [{**player(2), "size": 7}])
    good, rejected, _ = load("in", folder(tmp_path), tmp_path / "cache", OPTIONAL)
    assert (good.to_pylist(), rejected) == ([{**player(1), "size": None}, {**player(2), "size": 7}], [])
    bulk = fetch_bulk("in", folder(tmp_path), tmp_path / "cache", OPTIONAL)
    assert [part.absent for part in bulk.parts] == [["size"], []]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_missing_column_is_refused_with_what_to_declare(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a.{suffix}", [player(1)])
    with pytest.raises(DataRefused) as error:
        fetch_bulk(f"a.{suffix}", folder(tmp_path), tmp_path / "cache", replace(OPTIONAL, files=Files()))
    assert str(error.value) == (
        f"a.{suffix}: columns found: {', '.join(PLAYER.schema.names)}; expected size, which dataset 'player' "
        "declares. If files may lack it, declare Files(optional=('size',))"
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_folders_name_the_values_of_columns(tmp_path: Path, suffix: str) -> None:
    for day, position in (("2025-01-01", "%51B"), ("2025%2D01-02", "RB")):
        place = tmp_path / "in" / f"last_changed_date={day}" / f"position={position}"
        write(place / f"a.{suffix}", WITHOUT)
    expected = [
        {**player(1), "last_changed_date": "2025-01-01", "position": "QB"},
        {**player(1), "last_changed_date": "2025-01-02", "position": "RB"},
    ]
    found = []
    for source in ("in/last_changed_date=2025-01-01", "in/last_changed_date=2025%2D01-02/**/*"):
        good, rejected, _ = load(source, folder(tmp_path), tmp_path / "cache", FOLDERS)
        assert rejected == []
        found += good.select(PLAYER.schema.names).to_pylist()
    assert found == expected
    assert load("in", folder(tmp_path), tmp_path / "cache", FOLDERS)[0].num_rows == 2


def test_folders_of_an_object_store_name_the_values_of_columns(tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    store.store.clear()
    write(tmp_path / "a.csv", WITHOUT)
    store.pipe("/lake/last_changed_date=2025-01-01/position=QB/a.csv", (tmp_path / "a.csv").read_bytes())
    stored = Connection("files", "fs", extra={"path": "memory://lake"})
    good, _, _ = load("last_changed_date=2025-01-01", stored, tmp_path / "cache", FOLDERS)
    assert good.to_pylist() == [{**player(1), "last_changed_date": "2025-01-01"}]


def test_the_fingerprint_knows_the_folders(tmp_path: Path) -> None:
    found = set()
    for day in ("2025-01-01", "2025-01-02"):
        source = f"last_changed_date={day}/position=QB/a.csv"
        write(tmp_path / source, WITHOUT)
        found.add(fetch_bulk(source, folder(tmp_path), tmp_path / "cache", FOLDERS).sha256)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("place", "rows", "message"),
    [
        (
            "position=QB",
            WITHOUT,
            "a.csv: found no folder last_changed_date=… above this file, expected one because "
            "Files(folders=…) names last_changed_date; move the file, or remove the column from folders",
        ),
        (
            "last_changed_date=May/position=QB",
            WITHOUT,
            "a.csv: the folder last_changed_date=May: 'May' is not a day (YYYY-MM-DD); rename the folder",
        ),
        (
            "last_changed_date=2025-01-01/position=QB",
            [player(1)],
            "a.csv: found last_changed_date, position both as columns and in Files(folders=…); remove them "
            "from one",
        ),
    ],
)
def test_folders_that_do_not_fit_are_refused(
    tmp_path: Path, place: str, rows: list[dict[str, object]], message: str
) -> None:
    write(tmp_path / place / "a.csv", rows)
    with pytest.raises(DataRefused) as error:
        fetch_bulk(f"{place}/a.csv", folder(tmp_path), tmp_path / "cache", FOLDERS)
    assert str(error.value) == message


def test_a_folder_may_stand_for_null(tmp_path: Path) -> None:
    declared = replace(PLAYER, files=Files(folders=("gsis_id",)))
    rows = [{name: value for name, value in player(1).items() if name != "gsis_id"}]
    write(tmp_path / "gsis_id=__HIVE_DEFAULT_PARTITION__" / "a.csv", rows)
    good, _, _ = load("gsis_id=__HIVE_DEFAULT_PARTITION__", folder(tmp_path), tmp_path / "cache", declared)
    assert good.select(PLAYER.schema.names).to_pylist() == [player(1, gsis_id=None)]


def test_repeated_columns_of_parquet_that_nobody_declared_are_left_out(tmp_path: Path) -> None:
    table = parquet_table([player(1)])
    for _ in range(2):
        table = table.append_column("x", pa.array([1]))
    parquet.write_table(table, tmp_path / "p.parquet")
    assert load("p.parquet", folder(tmp_path), tmp_path / "cache")[0].to_pylist() == [player(1)]


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_columns_are_found_under_the_names_that_files_have(tmp_path: Path, name: str) -> None:
    columns = (
        Column("team_id", pa.int64(), nullable=False, at={"files": "Team Id"}),
        Column("budget", pa.decimal128(12, 2), at="Budget, total"),
        Column("season", pa.int32(), at={"files": "Season"}),
    )
    files = Files(decimal=",", thousands=".", folders=("season",), optional=("budget",))
    team = Dataset("team", columns, "team_id", files=files)
    text = '{"Team Id": "1000", "Budget, total": "1234567.50"}\n'
    if name == "p.csv":
        text = '"Team Id","Budget, total"\n1.000,"1.234.567,50"\n'
    (tmp_path / "Season=2025").mkdir()
    (tmp_path / "Season=2025" / name).write_text(text)
    good, rejected, _ = load(f"Season=2025/{name}", folder(tmp_path), tmp_path / "cache", team)
    assert (good.to_pylist(), rejected) == (
        [{"team_id": 1000, "budget": Decimal("1234567.50"), "season": 2025}],
        [],
    )
