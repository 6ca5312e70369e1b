"""A kernel's files are its owner's, and those that nobody owns any more go."""

import os
from pathlib import Path

import pytest

from notebook_pipeline.running.scratch import Scratch


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # Its own name may be too long for sockets.
    monkeypatch.setattr("notebook_pipeline.running.scratch._LONGEST", 1000)
    return tmp_path


def make_old(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "k.json").touch()
    os.utime(folder, (1, 1))
    return folder


def test_a_folder_is_for_its_owner_alone_and_goes_with_its_content(root: Path) -> None:
    scratch = Scratch()
    assert scratch.path.parent == root
    assert scratch.path.stat().st_mode & 0o777 == 0o700
    (scratch.path / "a").touch()
    scratch.remove()
    assert list(root.iterdir()) == []


def test_what_nobody_owns_any_more_is_swept_and_nothing_else(root: Path) -> None:
    at_work = Scratch()
    make_old(at_work.path)
    young = root / "nbp-young"
    young.mkdir()
    other = make_old(root / "other")
    link = root / "nbp-link"
    link.symlink_to(other)
    left = make_old(root / "nbp-left")
    mine = Scratch()
    assert sorted(root.iterdir()) == sorted([at_work.path, young, other, link, mine.path])
    assert (other / "k.json").exists()
    at_work.remove()
    mine.remove()
    assert not left.exists()
