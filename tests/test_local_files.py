"""Files on this machine: inside the folder of the connection, the same by folder and by glob, none "
"dangling."""

from pathlib import Path

import pytest

from notebook_pipeline.connections import Connection
from notebook_pipeline.declare import Files
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.files.locations import locate
from tests.bulk_data import folder


def fill(base: Path, *names: str) -> None:
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).touch()


def names(source: str, connection: Connection) -> list[str]:
    return [found.alone for found in locate(source, connection, Files())]


def refusal(source: str, connection: Connection) -> str:
    with pytest.raises(UsageError) as error:
        locate(source, connection, Files())
    return str(error.value)


def test_a_folder_and_a_glob_read_the_same_files_through_links(tmp_path: Path) -> None:
    fill(tmp_path, "sym/real/a.csv", "sym/b.csv", "sym/_tmp/x.csv", "sym/.x.csv", "far/c.csv", "far/d/e.csv")
    (tmp_path / "sym" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "sym" / "again.csv").symlink_to("b.csv")
    expected = ["sym/again.csv", "sym/b.csv", "sym/link/c.csv", "sym/link/d/e.csv", "sym/real/a.csv"]
    for source in ("sym", "sym/", "sym/**/*.csv", "sym/**", "*/**/*.csv"):
        found = names(source, folder(tmp_path))
        assert [name for name in found if not name.startswith("far")] == expected
    assert names("sym/link/*.csv", folder(tmp_path)) == ["sym/link/c.csv"]
    assert names("sym/_tmp/*.csv", folder(tmp_path)) == ["sym/_tmp/x.csv"]
    assert names("sym/_*/*.csv", folder(tmp_path)) == ["sym/_tmp/x.csv"]


@pytest.mark.parametrize("source", ["sym", "sym/**/*.csv", "sym/*", "sym/gone.csv"])
def test_a_dangling_link_fails(tmp_path: Path, source: str) -> None:
    fill(tmp_path, "sym/a.csv")
    (tmp_path / "sym" / "gone.csv").symlink_to("nowhere.csv")
    assert refusal(source, folder(tmp_path)) == (
        f"{tmp_path}/sym/gone.csv is a link to nowhere.csv, which does not exist; restore its target, or "
        "remove it"
    )


@pytest.mark.parametrize("source", ["sym", "sym/**/*.csv"])
def test_a_link_to_a_folder_above_it_fails(tmp_path: Path, source: str) -> None:
    fill(tmp_path, "sym/in/a.csv")
    (tmp_path / "sym" / "in" / "loop").symlink_to(tmp_path / "sym")
    assert refusal(source, folder(tmp_path)) == (
        f"{tmp_path}/sym/in/loop is a link to {tmp_path}/sym, a folder that contains it; remove the link"
    )


@pytest.mark.parametrize(
    "source",
    ["{out}/x.csv", "file://{out}/x.csv", "{out}", "{out}/*.csv", "link.csv", "link/x.csv", "link", "*.csv"],
)
def test_no_source_leaves_the_folder_of_its_connection(tmp_path: Path, source: str) -> None:
    fill(tmp_path, "out/x.csv", "in/a.csv")
    (tmp_path / "in" / "link.csv").symlink_to(tmp_path / "out" / "x.csv")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    source = source.format(out=tmp_path / "out")
    said = refusal(source, folder(tmp_path / "in"))
    assert f"which is not in {tmp_path}/in, the folder of connection 'files'; move the file there" in said
    allowed = Connection(
        "files", "fs", extra={"path": str(tmp_path / "in"), "allow": [str(tmp_path / "out")]}
    )
    assert len(names(source, allowed)) >= 1


def test_an_absolute_path_inside_the_folder_is_taken(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.csv")
    assert names(f"{tmp_path}/in/a.csv", folder(tmp_path / "in")) == [f"{tmp_path}/in/a.csv"]
    url = Connection("files", "fs", extra={"path": f"file://{tmp_path}/in"})
    assert names("a.csv", url) == ["a.csv"]


@pytest.mark.parametrize(
    "url",
    [
        "local:///etc/x.csv",
        "simplecache::file:///etc/x.csv",
        "zip:///etc/x.zip",
        "filecache:///etc/x.csv",
    ],
)
def test_no_file_system_opens_files_of_this_machine(tmp_path: Path, url: str) -> None:
    assert "may open files outside of the connection's folder" in refusal(url, folder(tmp_path))


def test_a_connection_without_a_folder_names_no_file_of_this_machine() -> None:
    http = Connection("files", "http", host="files.example")
    assert refusal("file:///etc/x.csv", http) == (
        "file:///etc/x.csv: a file on this machine needs a connection of type fs with a path"
    )
    stored = Connection("files", "fs", extra={"path": "memory://bulk"})
    assert refusal("/etc/x.csv", stored) == (
        "source '/etc/x.csv' is a path on this machine, but the connection's folder is memory://bulk"
    )


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "in/a.csv")

    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(PipelineError, match=f"{tmp_path}/in: cannot be listed: .*Permission denied"):
        locate("in", folder(tmp_path), Files())
