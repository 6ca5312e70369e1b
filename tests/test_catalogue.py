"""Declarations are found below the home folder, and a bad one spoils nothing but itself."""

import os
import sys
from pathlib import Path

import pytest

from notebook_pipeline.declare import catalogue
from notebook_pipeline.errors import UsageError

THING = """\
import pyarrow as pa

from notebook_pipeline.declare import Column, Dataset

THING = Dataset(
    "thing",
    (
        Column("id", pa.int64(), False),
        Column("day", pa.date32(), False),
    ),
    "id",
    "day",
)
"""


@pytest.fixture
def datasets(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of declarations with one good file; Python may write bytecode."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = home / "datasets"
    (folder / "player.py").unlink()
    (folder / "thing.py").write_text(THING)
    return folder


def test_a_dataset_is_found_by_its_file(datasets: Path) -> None:
    before = list(sys.path)
    found = catalogue.get("thing")
    assert (found.name, found.schema.names) == ("thing", ["id", "day"])
    assert catalogue.get("thing") is found
    assert sys.path == before
    assert "thing" not in sys.modules
    assert [path.name for path in datasets.iterdir()] == ["thing.py"]


def test_a_changed_file_is_read_again(datasets: Path) -> None:
    """Also within the second in which it was read, and at the same size: bytecode would not be told apart."""
    path = datasets / "thing.py"
    first, status = catalogue.get("thing"), path.stat()
    path.write_text(THING.replace('"id"', '"no"'))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert path.stat().st_size == status.st_size
    assert (first.key, catalogue.get("thing").key) == ("id", "no")


@pytest.mark.parametrize("name", ["nothing", "", "../thing", "Thing", "thing.py", "a/b"])
def test_an_unknown_name_is_refused_with_those_there_are(datasets: Path, name: str) -> None:
    (datasets.parent / "a").mkdir()
    (datasets / "other.py").touch()
    with pytest.raises(UsageError) as caught:
        catalogue.get(name)
    assert str(caught.value) == f"unknown dataset {name!r}; declared in {datasets}: other, thing"


def test_a_home_without_declarations_has_none(home: Path) -> None:
    (home / "datasets" / "player.py").unlink()
    (home / "datasets").rmdir()
    assert catalogue.load_all() == ({}, {})
    with pytest.raises(UsageError, match=r"unknown dataset 'thing'; declared in .*: nothing"):
        catalogue.get("thing")


def changed(old: str, new: str) -> str:
    assert old in THING
    return THING.replace(old, new)


BAD = {
    "a_wrong_key": (
        changed('    "id",\n', '    "ID",\n'),
        5,
        "uses undeclared columns ['ID']; it declares ['day', 'id']",
    ),
    "a_wrong_type": (
        changed("date32", "date64"),
        9,
        "column 'day': date64[ms] is not a type that can be stored; use one of",
    ),
    "columns_of_one_name": (changed('"day", pa', '"Id", pa'), 5, "declares the columns ['id', 'Id']"),
    "an_unknown_argument": (
        changed("int64(), False", "int64(), null=False"),
        8,
        "it takes name, type",
    ),
    "another_name": (THING, 5, "declares dataset 'thing'; expected 'another_name', the file's name"),
    "a_taken_name": (changed('"thing"', '"watermark"'), 5, "has the name of a bookkeeping table"),
    "no_dataset": ("x = 1\n", 1, "declares 0 datasets; expected one"),
    "two_datasets": (
        THING + THING.replace("THING", "SECOND").replace("thing", "second"),
        18,
        "SECOND, THING",
    ),
    "no_python": ("x = (\n", 1, "invalid Python: '(' was never closed"),
    "an_error": ("x = 1\ny = x / 0\n", 2, "ZeroDivisionError: division by zero"),
    "a_missing_module": (
        "\nimport not_installed\n",
        2,
        "No module named 'not_installed'",
    ),
    "an_exit": ("raise SystemExit\n", 1, "exits the program; expected a declaration"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_its_line_and_what_is_expected(datasets: Path, name: str) -> None:
    text, line, reason = BAD[name]
    (datasets / f"{name}.py").write_text(text)
    with pytest.raises(UsageError) as caught:
        catalogue.get(name)
    assert str(caught.value).startswith(f"{datasets / name}.py, line {line}: ")
    assert reason in str(caught.value)


def test_bad_files_make_no_other_dataset_unusable(datasets: Path) -> None:
    for name, (text, _, _) in BAD.items():
        (datasets / f"{name}.py").write_text(text)
    (datasets / "Capital.py").write_text(THING)
    (datasets / ".#thing.py").symlink_to("an-editor@a-machine")
    found = catalogue.load_all()
    assert list(found.datasets) == ["thing"]
    assert found.problems.keys() == {*BAD, "Capital"}
    assert "a declaration file has the name of its dataset" in found.problems["Capital"]
    assert catalogue.get("thing") is found.datasets["thing"]


def test_a_name_belongs_to_one_file(datasets: Path) -> None:
    (datasets / "copy.py").write_text(THING)
    with pytest.raises(UsageError, match=r"copy.py, line 5: .*'thing'; .* thing.py, which exists already"):
        catalogue.get("copy")
    assert catalogue.get("thing").name == "thing"
