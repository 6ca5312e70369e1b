"""Sources that are cut into groups, one a task, and lists of files, one a line."""

import os
from pathlib import Path

import fsspec
import pytest

from notebook_pipeline.connections import Connection
from notebook_pipeline.declare import Files
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.files.locations import groups, locate, shown
from tests.bulk_data import folder

NAMES = ["a.csv", "b/10.csv", "b/2.csv", "c.csv", "d.csv"]


def fill(path: Path, names: list[str]) -> Connection:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    return folder(path)


def named(source: str, connection: Connection) -> list[str]:
    return [found.alone for found in locate(source, connection, Files())]


@pytest.mark.parametrize(
    ("at_most", "expected"),
    [
        (2, ["in/a.csv\nin/b/10.csv", "in/b/2.csv\nin/c.csv\nin/d.csv"]),
        (3, ["in/a.csv", "in/b/10.csv\nin/b/2.csv", "in/c.csv\nin/d.csv"]),
        (5, ["in/a.csv", "in/b/10.csv", "in/b/2.csv", "in/c.csv", "in/d.csv"]),
        (99, ["in/a.csv", "in/b/10.csv", "in/b/2.csv", "in/c.csv", "in/d.csv"]),
        (1, ["in"]),
    ],
)
def test_groups_follow_the_names_and_are_of_like_size(
    tmp_path: Path, at_most: int, expected: list[str]
) -> None:
    connection = fill(tmp_path / "in", NAMES) and folder(tmp_path)
    assert groups("in", connection, Files(), at_most) == expected


@pytest.mark.parametrize(
    "source", ["in", "in/", "in/**/*.csv", "{here}/in", "{here}/in/**/*.csv", "file://{here}/in"]
)
@pytest.mark.parametrize("at_most", range(1, 7))
def test_no_file_is_lost_or_in_two_groups(tmp_path: Path, source: str, at_most: int) -> None:
    fill(tmp_path / "in", NAMES)
    source, connection = source.format(here=tmp_path), folder(tmp_path)
    found = [
        path for group in groups(source, connection, Files(), at_most) for path in located(group, connection)
    ]
    assert found == [tmp_path / "in" / name for name in NAMES]


def located(source: str, connection: Connection) -> list[Path]:
    return [found.path for found in locate(source, connection, Files())]  # pyright: ignore[reportAttributeAccessIssue]


def test_files_of_an_object_store_are_grouped_by_their_urls() -> None:
    store = fsspec.filesystem("memory")
    for name in ("a.csv", "b.csv", "c.csv"):
        store.pipe(f"/bucket/in/{name}", b"")
    connection = Connection("files", "fs", extra={"path": "memory://bucket"})
    cut = groups("in", connection, Files(), 2)
    assert cut == ["memory:///bucket/in/a.csv", "memory:///bucket/in/b.csv\nmemory:///bucket/in/c.csv"]
    assert [name for group in cut for name in named(group, connection)] == [
        f"memory:///bucket/in/{name}.csv" for name in "abc"
    ]
    # A list of names below the connection, as a person would give it, means the same.
    assert named("in/b.csv\nin/c.csv", connection) == cut[1].split("\n")


def test_a_name_that_would_mean_something_else_in_a_list_stays_in_one_group(tmp_path: Path) -> None:
    connection = fill(tmp_path, ["in/a.csv", "in/b\n.csv"])
    assert groups("in", connection, Files(), 2) == ["in"]
    store = fsspec.filesystem("memory")
    for name in ("a[1].csv", "b.csv"):
        store.pipe(f"/brackets/{name}", b"")
    assert groups("memory://brackets", connection, Files(), 2) == ["memory://brackets"]


def test_one_file_stays_as_it_was_named(tmp_path: Path) -> None:
    connection = fill(tmp_path, ["p.csv"])
    assert groups("p.csv", connection, Files(), 8) == ["p.csv"]
    http = Connection("files", "http", host="files.example")
    assert groups("p.csv", http, Files(), 8) == ["p.csv"]


def test_a_list_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    connection = fill(tmp_path, NAMES)
    assert [found.name for found in locate("d.csv\r\n\nb/2.csv\na.csv\n", connection, Files())] == [
        "a.csv",
        "b/2.csv",
        "d.csv",
    ]
    assert shown("d.csv\nhttps://me:secret@host/p.csv?token=secret") == "d.csv, https://host/p.csv"


@pytest.mark.parametrize("source", ["a.csv\nb", "a.csv\nb/*.csv", "a.csv\nc.csv\na.csv"])
def test_a_list_names_each_file_once_and_nothing_but_files(tmp_path: Path, source: str) -> None:
    connection = fill(tmp_path, NAMES)
    with pytest.raises(UsageError, match="in a list of files: name one file per line, and each file once"):
        locate(source, connection, Files())


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """Neither a position nor a message could be kept."""
    connection = fill(tmp_path / "in", ["a.csv", os.fsdecode(b"\xfc.csv")])
    with pytest.raises(PipelineError, match=r"\\udcfc\.csv': found a name that is not UTF-8 text; rename it"):
        locate("*.csv", connection, Files())
