"""Bulk files: what a source names, what is refused at once, and rows that keep their positions."""

import hashlib
import os
from pathlib import Path

import pyarrow as pa
import pytest
from declared import PLAYER
from pyarrow import parquet

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.files import parquet_reader
from notebook_pipeline.sources.files.bulk_file import fetch_bulk, read_batches, unknown_columns
from tests.bulk_data import csv_bytes, folder, load, pack, parquet_bytes, parquet_table, player

ROWS = [player(1), player(2, gsis_id=None, first_name="NA", last_name="Null"), player(3)]


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.zst", ".parquet", ".parquet.gz", ".parquet.zst"])
def test_reads_every_format_alike(tmp_path: Path, suffix: str) -> None:
    plain = csv_bytes(ROWS) if suffix.startswith(".csv") else parquet_bytes(ROWS)
    path = put(tmp_path / f"players{suffix}", pack(plain, suffix))
    bulk = fetch_bulk(path.name, folder(tmp_path), tmp_path / "cache", PLAYER)
    assert (bulk.name, bulk.format, bulk.bytes) == (path.name, suffix.split(".")[1], path.stat().st_size)
    assert bulk.rows == (None if bulk.format == "csv" else 3)
    assert bulk.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    good, rejected, read = load(path.name, folder(tmp_path), tmp_path / "cache")
    assert (good.to_pylist(), rejected, read) == (ROWS, [], 3)


def test_reads_a_folder_in_the_order_of_its_names(tmp_path: Path) -> None:
    names = ["a/10.csv", "a/2.csv.gz", "b.csv", "c.csv", "d/1.csv", "d/e/f.csv"]
    for player_id, name in enumerate([*reversed(names), ".hidden.csv", "_tmp/x.csv"]):
        put(tmp_path / "in" / name, pack(csv_bytes([player(player_id)]), name))
    put(tmp_path / "in" / "README.md", b"about")
    bulk = fetch_bulk("in", folder(tmp_path), tmp_path / "cache", PLAYER)
    assert [part.name for part in bulk.parts] == names
    batches = list(read_batches(bulk, PLAYER))
    assert [batch.position(0) for batch in batches] == [f"{name}:2" for name in names]
    sizes = [(tmp_path / "in" / name).stat().st_size for name in names]
    assert [batch.share for batch in batches] == [sum(sizes[: n + 1]) / sum(sizes) for n in range(len(names))]


def test_a_glob_names_files(tmp_path: Path) -> None:
    for player_id, name in enumerate(["b.csv", "a/2.csv", "a/10.csv", "a/x.parquet"]):
        put(tmp_path / "in" / name, csv_bytes([player(player_id)]))
    found = {
        pattern: load(pattern, folder(tmp_path), tmp_path / "cache")[0]["player_id"].to_pylist()
        for pattern in ("in/*.csv", "in/a/*.csv", "in/**/*.csv", "in/a/[0-9].csv")
    }
    assert found == {"in/*.csv": [0], "in/a/*.csv": [2, 1], "in/**/*.csv": [2, 1, 0], "in/a/[0-9].csv": [1]}


def test_the_fingerprint_of_many_files_knows_names_and_content(tmp_path: Path) -> None:
    def fingerprint(name: str, *files: tuple[str, int]) -> str:
        for file, player_id in files:
            put(tmp_path / name / file, csv_bytes([player(player_id)]))
        return fetch_bulk(name, folder(tmp_path), tmp_path / "cache", PLAYER).sha256

    first = fingerprint("first", ("a.csv", 1), ("b.csv", 2))
    assert fingerprint("same", ("b.csv", 2), ("a.csv", 1)) == first
    # The order of files decides between versions of a key, so that names count.
    assert fingerprint("swapped", ("a.csv", 2), ("b.csv", 1)) != first
    assert fingerprint("other", ("a.csv", 1), ("b.csv", 3)) != first


def test_finds_a_source_below_the_folder_of_its_connection(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    put(home / "data" / "p.csv", csv_bytes([player(1)]))
    put(home / "data" / "in" / "q.csv", csv_bytes([player(2)]))
    put(home / "elsewhere" / "r.csv", csv_bytes([player(3)]))
    monkeypatch.chdir(home / "data" / "in")
    data = Connection("files", "fs", extra={"path": "data", "allow": ["elsewhere"]})
    path = home / "data" / "p.csv"
    sources = ["p.csv", "data/p.csv", "q.csv", str(path), f"file://{path}", "elsewhere/r.csv"]
    found = [load(source, data, cache)[0]["player_id"].to_pylist() for source in sources]
    assert found == [[1], [1], [2], [1], [1], [3]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("../p.csv", "source '../p.csv' leaves the folder of its connection; give a name without .."),
        (
            "a/../../p.csv",
            "source 'a/../../p.csv' leaves the folder of its connection; give a name without ..",
        ),
        ("", "source '' names no file; give a path, a folder, a glob or a URL"),
        ("p\0.csv", "source 'p\\x00.csv' names no file; give a path, a folder, a glob or a URL"),
        ("nosuch://host/p.csv", "nosuch://host/p.csv: Protocol not known: nosuch"),
        (
            "http://host:nine/p.csv",
            "http://host:nine/p.csv: not a URL (Port could not be cast to integer value as 'nine')",
        ),
        (
            "https://me:secret@host/p.csv?token=secret",
            "https://host/p.csv: found a password in the source; store it in a connection instead",
        ),
    ],
)
def test_refuses_a_source(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        fetch_bulk(source, folder(tmp_path), tmp_path / "cache", PLAYER)
    assert str(error.value) == message


def test_refuses_a_connection_that_holds_no_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        fetch_bulk("p.csv", Connection("db", "sqlite", host="x.db"), tmp_path, PLAYER)
    assert str(error.value) == (
        "connection 'db' is of type 'sqlite'; a source needs one of type http, or of type fs with a path in "
        "its extra"
    )


def test_says_where_it_looked(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "data" / "p.csv", b"")
    with pytest.raises(PipelineError) as error:
        fetch_bulk("*.parquet", folder(tmp_path / "data"), tmp_path / "cache", PLAYER)
    assert str(error.value) == (
        f"no file '*.parquet' in {tmp_path}/data, {tmp_path}; expected a name, folder or glob of {KNOWN}"
    )


CSV, PARQUET = csv_bytes(ROWS), parquet_bytes(ROWS)
COLUMNS = ", ".join(PLAYER.schema.names)
TELL = "give it the extension of its format, or declare Files(format=…), for example 'csv'"
NO_CSV = f"CSV text in UTF-8; {TELL}"
KNOWN = ".csv, .tsv, .parquet, .json, .jsonl or .ndjson, optionally followed by .gz, .zst, .bz2, .xz or .zip"
DECLARED = "which dataset 'player' declares"
NO_NAMES = "If it has no header, declare Files(header=False); if lines come before it, Files(skip_lines=…)"

UNEXPECTED = {
    "Parquet": ("p.csv", PARQUET, f"found a Parquet file, expected {NO_CSV}"),
    "gzip": ("p.csv", pack(CSV, ".gz"), f"found gzip data, expected {NO_CSV}"),
    "HTML": ("p.csv", b" \n<!DOCTYPE html><html>", f"found an HTML or XML page, expected {NO_CSV}"),
    "JSON": ("p.csv", b'[{"player_id": 1}]', f"found a JSON list, expected {NO_CSV}"),
    "UTF-16": (
        "p.csv",
        CSV.decode().encode("utf-16"),
        "found UTF-16 text, expected CSV text in UTF-8; declare Files(encoding='utf-16')",
    ),
    "packed HTML": ("p.csv.zst", pack(b"<html>", ".zst"), f"found an HTML or XML page, expected {NO_CSV}"),
    "no gzip": ("p.csv.gz", CSV, "found other data, expected gzip data according to its name"),
    "no Parquet": ("p.parquet", CSV, f"found other data, expected a Parquet file; {TELL}"),
    "no JSON": (
        "p.json",
        CSV,
        f"found other data, expected a JSON list, or one JSON object a line; {TELL}",
    ),
    "Excel": ("p.xlsx", b"PK\3\4", f"found an unknown format, expected {KNOWN}; {TELL}"),
    "no header": ("p.csv", b"\n\n", f"found no columns; expected {COLUMNS}, {DECLARED}"),
    "no names": (
        "p.csv",
        b"1,2,3\n",
        "the first row has 3 fields of 3 characters that are not the names of columns; expected "
        f"{COLUMNS}, {DECLARED}. {NO_NAMES}",
    ),
    "a secret": (
        "p.csv",
        b"root_password=hunter2\n",
        "the first row has 1 field of 21 characters that are not the names of columns; expected "
        f"{COLUMNS}, {DECLARED}. {NO_NAMES}",
    ),
    "another delimiter": (
        "p.csv",
        CSV.replace(b",", b";"),
        f"columns found: {COLUMNS.replace(', ', ';')}; expected {COLUMNS}, {DECLARED}. Is the delimiter `;`? "
        "Declare Files(delimiter=';')",
    ),
    "no column": (
        "p.csv",
        CSV.replace(b"gsis_id", b"gsis"),
        f"columns found: {COLUMNS.replace('gsis_id', 'gsis')}; expected gsis_id, {DECLARED}. If files may "
        "lack it, declare Files(optional=('gsis_id',))",
    ),
    "a column twice": (
        "p.csv",
        CSV.replace(b"date\n", b"date,position\n"),
        "found duplicate columns position, expected each name once",
    ),
}

INCOMPLETE = {
    "no CSV": ("p.csv", b"", "the file is empty; expected the dataset's columns"),
    "no Parquet": ("p.parquet", b"", "the file is empty; expected the dataset's columns"),
    "nothing packed": (
        "p.csv.gz",
        pack(b"", ".gz"),
        "the gzip file contains no data; expected the dataset's columns",
    ),
    "cut gzip": (
        "p.csv.gz",
        pack(CSV, ".gz")[:-4],
        "damaged or truncated gzip file: Truncated compressed stream; …",
    ),
    "cut zstd": (
        "p.csv.zst",
        pack(CSV, ".zst")[:-4],
        "damaged or truncated zstd file: Truncated compressed stream; …",
    ),
    "cut around Parquet": (
        "p.parquet.gz",
        pack(PARQUET, ".gz")[:-4],
        "damaged or truncated gzip file: Truncated compressed stream; …",
    ),
}


def refusal(folder_path: Path, name: str, data: bytes) -> str:
    put(folder_path / name, data)
    with pytest.raises(PipelineError) as error:
        next(read_batches(fetch_bulk(name, folder(folder_path), folder_path / "cache", PLAYER), PLAYER), None)
    return str(error.value)


@pytest.mark.parametrize("case", UNEXPECTED)
def test_fails_at_once_where_a_file_is_another(tmp_path: Path, case: str) -> None:
    name, data, message = UNEXPECTED[case]
    assert refusal(tmp_path, name, data) == f"{name}: {message}"


def test_a_header_in_another_encoding_is_named_with_the_setting(tmp_path: Path) -> None:
    assert refusal(tmp_path, "p.csv", b"\xe9,b\n1,2\n") == (
        "p.csv, line 1: found 3 bytes that are not column names in UTF-8, expected the header of a CSV file; "
        "if the file is in another encoding, declare Files(encoding=…), for example 'cp1252'"
    )


@pytest.mark.parametrize("case", INCOMPLETE)
def test_fails_at_once_where_a_file_is_not_whole(tmp_path: Path, case: str) -> None:
    name, data, message = INCOMPLETE[case]
    assert refusal(tmp_path, name, data) == f"{name}: {message.replace('…', 'fetch or write it again')}"


def test_fails_at_once_where_parquet_is_cut(tmp_path: Path) -> None:
    put(tmp_path / "p.parquet", PARQUET[:-20])
    with pytest.raises(
        PipelineError, match=r"^p\.parquet: damaged or truncated Parquet file: .*; fetch or write it again$"
    ):
        fetch_bulk("p.parquet", folder(tmp_path), tmp_path / "cache", PLAYER)


def test_names_the_row_where_parquet_is_damaged(tmp_path: Path) -> None:
    data = bytearray(parquet_bytes([player(number) for number in range(3000)]))
    offset = (
        parquet.ParquetFile(pa.BufferReader(bytes(data))).metadata.row_group(1).column(0).data_page_offset
    )
    data[offset : offset + 400] = bytes(400)
    put(tmp_path / "p.parquet", bytes(data))
    bulk = fetch_bulk("p.parquet", folder(tmp_path), tmp_path / "cache", PLAYER)
    with pytest.raises(
        PipelineError,
        match=r"^p\.parquet, after row 0: damaged or truncated Parquet file: .*; fetch or write it again$",
    ):
        list(read_batches(bulk, PLAYER))


def test_a_value_that_belies_its_checksum_is_not_read(tmp_path: Path) -> None:
    data = pa.BufferOutputStream()
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    parquet.write_table(parquet_table([player(last_name="Right")]), data, **options)
    put(tmp_path / "p.parquet", data.getvalue().to_pybytes().replace(b"Right", b"Wrong"))
    bulk = fetch_bulk("p.parquet", folder(tmp_path), tmp_path / "cache", PLAYER)
    with pytest.raises(PipelineError, match=r"damaged or truncated Parquet file: .*checksum"):
        list(read_batches(bulk, PLAYER))


def test_wide_rows_of_parquet_make_batches_of_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_reader, "_BYTES", 3_000)
    wide = [player(number, last_name=f"{number:0400}") for number in range(1, 101)]
    put(tmp_path / "p.parquet", parquet_bytes(wide))
    batches = list(
        read_batches(fetch_bulk("p.parquet", folder(tmp_path), tmp_path / "cache", PLAYER), PLAYER)
    )
    assert sum(len(batch) for batch in batches) == 100
    assert max(len(batch) for batch in batches) < 10


@pytest.mark.parametrize(
    ("column", "values", "found"),
    [
        ("player_id", pa.array([[1]]), "list<element: int64>"),
        ("player_id", pa.array([True]), "bool"),
        ("gsis_id", pa.array([True]), "bool"),
        ("last_changed_date", pa.array([7]), "int64"),
    ],
)
def test_fails_at_once_where_a_type_never_converts(
    tmp_path: Path, column: str, values: pa.Array, found: str
) -> None:
    table = parquet_table([player()])
    parquet.write_table(
        table.set_column(table.schema.get_field_index(column), column, values), tmp_path / "p.parquet"
    )
    with pytest.raises(PipelineError) as error:
        next(read_batches(fetch_bulk("p.parquet", folder(tmp_path), tmp_path / "cache", PLAYER), PLAYER))
    assert (
        str(error.value)
        == f"p.parquet: found column {column} as {found}, expected {PLAYER.schema.field(column).type}"
    )


def test_refuses_a_mix_of_formats(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.csv", CSV)
    put(tmp_path / "in" / "b.parquet", PARQUET)
    with pytest.raises(PipelineError) as error:
        fetch_bulk("in", folder(tmp_path), tmp_path / "cache", PLAYER)
    assert (
        str(error.value)
        == "in: found files of the formats csv and parquet, expected one; select it with a glob"
    )


def test_reports_unknown_columns_and_leaves_out_ignored_ones(tmp_path: Path) -> None:
    more = pa.array([[{"week": 1}]])
    table = (
        parquet_table([player()]).append_column("team", pa.array(["GB"])).append_column("performances", more)
    )
    parquet.write_table(table, tmp_path / "p.parquet")
    bulk = fetch_bulk("p.parquet", folder(tmp_path), tmp_path / "cache", PLAYER)
    assert unknown_columns(bulk, PLAYER) == ["team"]
    [batch] = read_batches(bulk, PLAYER)
    assert batch.columns is not None
    assert batch.columns.schema.names == [*PLAYER.schema.names, "team"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("p.csv", csv_bytes([])), ("p.csv", csv_bytes([])[:-1]), ("p.parquet", parquet_bytes([]))],
)
def test_a_file_without_rows_is_a_file(tmp_path: Path, name: str, data: bytes) -> None:
    put(tmp_path / name, data)
    assert list(read_batches(fetch_bulk(name, folder(tmp_path), tmp_path / "cache", PLAYER), PLAYER)) == []


def test_notices_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "p.csv", CSV)
    bulk = fetch_bulk("p.csv", folder(tmp_path), tmp_path / "cache", PLAYER)
    batches = read_batches(bulk, PLAYER)
    next(batches)
    os.utime(path, ns=(0, 0))
    with pytest.raises(PipelineError) as error:
        next(batches)
    assert str(error.value) == "p.csv: changed while it was read; run this again when the file is complete"


def test_says_that_a_file_is_gone(tmp_path: Path) -> None:
    path = put(tmp_path / "p.csv", CSV)
    batches = read_batches(fetch_bulk("p.csv", folder(tmp_path), tmp_path / "cache", PLAYER), PLAYER)
    next(batches)
    path.unlink()
    with pytest.raises(PipelineError) as error:
        next(batches)
    assert str(error.value) == (
        f"p.csv: cannot be read: [Errno 2] No such file or directory: '{path}'; check that it exists and "
        "can be read"
    )


def test_parquet_comes_in_batches_of_one_size_with_positions(tmp_path: Path) -> None:
    ids = pa.array(range(150_000))
    table = pa.table(
        {name: ids if name == "player_id" else pa.nulls(len(ids)) for name in PLAYER.schema.names}
    )
    parquet.write_table(table, tmp_path / "p.parquet", row_group_size=40_000)
    batches = list(
        read_batches(fetch_bulk("p.parquet", folder(tmp_path), tmp_path / "cache", PLAYER), PLAYER)
    )
    assert [len(batch) for batch in batches] == [65_536, 65_536, 18_928]
    assert [batch.position(0) for batch in batches] == ["p.parquet:1", "p.parquet:65537", "p.parquet:131073"]
    assert [batch.share for batch in batches] == [65_536 / 150_000, 131_072 / 150_000, 1.0]
