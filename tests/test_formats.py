"""Formats, told by the declaration, a name or a server's answer."""

import bz2
import gzip
import lzma
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from declared import PLAYER

from notebook_pipeline.declare import Files
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.files.bulk_file import fetch_bulk, unknown_columns
from notebook_pipeline.sources.files.formats import Format, is_bulk_file, of_answer, of_file
from tests.bulk_data import csv_bytes, folder, load, parquet_bytes, player

ROWS = [player(1), player(2)]
CSV, PARQUET = csv_bytes(ROWS), parquet_bytes(ROWS)


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("p.csv", "", Format("csv")),
        ("P.CSV.GZ", "", Format("csv", "gzip")),
        ("p.tsv.xz", "", Format("csv", "xz", has_tabs=True)),
        ("p.Parquet", "", Format("parquet")),
        ("p.ndjson.bz2", "", Format("json", "bz2")),
        ("p.zip", "", Format(None, "zip")),
        ("p", "", Format(None)),
        ("p.txt", "csv", Format("csv")),
        ("p.txt.gz", "tsv", Format("csv", "gzip", has_tabs=True)),
        ("p.csv", "jsonl", Format("json")),
    ],
)
def test_a_name_tells_the_format_unless_it_is_declared(name: str, declared: str, expected: Format) -> None:
    assert of_file(name, Files(format=declared)) == expected


@pytest.mark.parametrize(
    ("url", "headers", "expected"),
    [
        ("https://h/p.csv", {"content-type": "application/json"}, Format("csv")),
        ("https://h/export?format=csv", {}, Format("csv")),
        ("https://h/export?format=CSV", {"content-type": "text/plain"}, Format("csv")),
        ("https://h/dump/8a1f", {"content-type": "Text/CSV; charset=utf-8"}, Format("csv")),
        ("https://h/dump/8a1f", {"content-type": "application/x-ndjson"}, Format("json")),
        (
            "https://h/dump/8a1f",
            {"content-type": "text/csv", "content-disposition": 'attachment; filename="P.TSV.GZ"'},
            Format("csv", "gzip", has_tabs=True),
        ),
        (
            "https://h/d",
            {"content-disposition": "attachment; filename*=UTF-8''%C3%A9.parquet"},
            Format("parquet"),
        ),
        ("https://h/d", {}, Format(None)),
    ],
)
def test_a_server_tells_the_format_where_the_name_does_not(
    url: str, headers: dict[str, str], expected: Format
) -> None:
    assert of_answer(url.split("?")[0].rpartition("/")[2], url, headers, Files()) == expected
    assert of_answer("d", url, headers, Files(format="parquet")).kind == "parquet"


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("p.csv", "", True),
        ("p.md", "", False),
        ("p.zip", "", True),
        ("part-0000", "", False),
        ("part-0000", "csv", True),
        ("part-0000.gz", "csv", True),
        ("p.parquet", "csv", False),
        ("README.md", "csv", False),
    ],
)
def test_a_folder_holds_files_of_known_formats(name: str, declared: str, expected: bool) -> None:
    assert is_bulk_file(name, Files(format=declared)) is expected


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize(("name", "plain"), [("p.CSV", CSV), ("p.parquet", PARQUET)])
def test_reads_every_compression(tmp_path: Path, name: str, plain: bytes, suffix: str) -> None:
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
    (tmp_path / f"{name}{suffix}").write_bytes(pack(plain))
    good, rejected, read = load(f"{name}{suffix}", folder(tmp_path), tmp_path / "cache")
    assert (good.to_pylist(), rejected, read) == (ROWS, [], 2)


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_a_truncated_file_fails(tmp_path: Path, suffix: str) -> None:
    pack = {".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
    (tmp_path / f"p.csv{suffix}").write_bytes(pack(CSV * 100)[:-10])
    with pytest.raises(
        PipelineError, match=r"damaged or truncated (bz2|xz) file: .*; fetch or write it again"
    ):
        load(f"p.csv{suffix}", folder(tmp_path), tmp_path / "cache")


def zipped(path: Path, **members: bytes) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "."), data)
    return path.name


def test_reads_the_only_file_of_an_archive(tmp_path: Path) -> None:
    for name, members in {
        "a.csv.zip": {"other__csv": CSV},
        "b.zip": {"p__parquet": PARQUET},
        "c.csv.ZIP": {"noname": CSV},
        "d.zip": {"p__csv__gz": gzip.compress(CSV)},
    }.items():
        good, rejected, read = load(zipped(tmp_path / name, **members), folder(tmp_path), tmp_path / "cache")
        assert (good.to_pylist(), rejected, read) == (ROWS, [], 2)


def test_refuses_an_archive_of_several_files(tmp_path: Path) -> None:
    zipped(tmp_path / "p.csv.zip", a__csv=CSV, b__csv=CSV)
    with pytest.raises(PipelineError) as error:
        load("p.csv.zip", folder(tmp_path), tmp_path / "cache")
    assert str(error.value) == (
        "p.csv.zip: found 2 files in this zip archive, expected one; unpack it, or put each file into an "
        "archive of its own"
    )


def test_tabs_separate_the_fields_of_a_tsv_file(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_bytes(
        CSV.replace(b'"', b"").replace(b"O'Neil, Jr", b"O'Neil").replace(b",", b"\t")
    )
    good, rejected, read = load("p.tsv", folder(tmp_path), tmp_path / "cache")
    assert good["last_name"].to_pylist() == ["O'Neil"] * 2
    assert (rejected, read) == ([], 2)


def test_columns_that_nobody_declared_may_repeat_or_have_no_name(tmp_path: Path) -> None:
    lines = CSV.decode().splitlines()
    (tmp_path / "p.csv").write_text(
        "\n".join([f"{lines[0]},x,x,,", *(f"{line},1,2,3," for line in lines[1:])])
    )
    bulk = fetch_bulk("p.csv", folder(tmp_path), tmp_path / "cache", PLAYER)
    assert unknown_columns(bulk, PLAYER) == ["x (2 times)", "(no name) (2 times)"]
    assert load("p.csv", folder(tmp_path), tmp_path / "cache")[0].to_pylist() == ROWS


def test_empty_parts_are_passed_over_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, data in {"a.csv": b"", "b.csv": CSV, "c.csv": b""}.items():
        (tmp_path / "in" / name).write_bytes(data)
    bulk = fetch_bulk("in", folder(tmp_path), tmp_path / "cache", PLAYER)
    assert bulk.notes == ["skipped, because they are empty: a.csv, c.csv"]
    assert load("in", folder(tmp_path), tmp_path / "cache")[0].to_pylist() == ROWS
    (tmp_path / "in" / "b.csv").write_bytes(b"")
    with pytest.raises(PipelineError, match=r"^in: all 3 files are empty; expected the dataset's columns$"):
        fetch_bulk("in", folder(tmp_path), tmp_path / "cache", PLAYER)


def test_a_note_says_that_trailing_delimiters_were_passed_over(tmp_path: Path) -> None:
    lines = CSV.decode().splitlines()
    (tmp_path / "p.csv").write_text("\n".join([lines[0], *(f"{line}," for line in lines[1:])]))
    bulk = fetch_bulk("p.csv", folder(tmp_path), tmp_path / "cache", PLAYER)
    assert bulk.notes == ["p.csv: every row ends with one more delimiter, which was ignored"]
    assert load("p.csv", folder(tmp_path), tmp_path / "cache")[0].to_pylist() == ROWS


def test_a_file_without_a_header_has_the_declared_columns(tmp_path: Path) -> None:
    (tmp_path / "p.dat").write_bytes(CSV.partition(b"\n")[2])
    declared = replace(PLAYER, files=Files(format="csv", header=False))
    good, rejected, _ = load("p.dat", folder(tmp_path), tmp_path / "cache", declared)
    assert (good.to_pylist(), rejected) == (ROWS, [])
