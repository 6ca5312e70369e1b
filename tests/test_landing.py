"""Landed pages are there in whole or not at all, and answer one extraction only."""

import os
import random
import resource
import shutil
import time
from pathlib import Path

import pytest

from notebook_pipeline.sources.http.landing import MANIFEST, Landing, remove_landed

REQUEST = {"url": "http://h/v0/players/?limit=2", "full_sweep": False, "follows": ""}
BODY = '[{"first_name": "Zoë"}]'.encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "landing" / "run"


def state_of(landing: Landing) -> tuple:
    return landing.reading, landing.total, landing.is_complete, landing.read(0)


def land(landing: Landing, body: bytes) -> None:
    landing.keep(0, landing.stage(body))


def test_a_page_is_found_again_by_the_same_extraction(folder: Path):
    first = Landing(folder, REQUEST)
    first.keep_total(7)
    land(first, BODY)
    assert state_of(Landing(folder, REQUEST)) == (1, 7, False, BODY)
    first.complete()
    assert state_of(Landing(folder, REQUEST)) == (1, 7, True, BODY)
    first.reopen(1)
    assert state_of(Landing(folder, REQUEST)) == (1, 7, False, BODY)


def test_a_page_that_is_missing_takes_those_after_it_along(folder: Path):
    landing = Landing(folder, REQUEST)
    for page in range(12):
        landing.keep(page, landing.stage(BODY))
    landing.complete()
    landing.reopen(9)
    assert [page for page in range(12) if landing.read(page)] == list(range(9))
    assert not Landing(folder, REQUEST).is_complete


def test_the_day_is_the_one_on_which_a_reading_began(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2024-09-20")
    Landing(folder, REQUEST)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2024-09-21")
    landing = Landing(folder, REQUEST)
    assert landing.day == "2024-09-20"
    landing.begin(2)
    assert landing.day == Landing(folder, REQUEST).day == "2024-09-21"


@pytest.mark.parametrize("other", [{"follows": "run 7"}, {"full_sweep": True}, {"url": "http://h/other"}])
def test_another_extraction_starts_afresh(folder: Path, other: dict):
    landing = Landing(folder, REQUEST)
    landing.keep_total(7)
    land(landing, BODY)
    landing.complete()
    assert state_of(Landing(folder, REQUEST | other)) == (1, None, False, None)
    assert state_of(Landing(folder, REQUEST)) == (1, None, False, None)


def test_another_reading_starts_without_pages(folder: Path):
    landing = Landing(folder, REQUEST)
    landing.keep_total(7)
    land(landing, BODY)
    unused = landing.stage(BODY)
    landing.begin(2)
    assert not unused.exists()
    assert state_of(landing) == (2, None, False, None)
    assert state_of(Landing(folder, REQUEST)) == (2, None, False, None)


def test_a_page_that_was_cut_short_is_not_there(folder: Path):
    landing = Landing(folder, REQUEST)
    land(landing, BODY * 100)
    (page,) = folder.glob("page-*")
    whole = page.read_bytes()
    for length in range(1, len(whole)):
        page.write_bytes(whole[:length])
        assert landing.read(0) is None
    page.write_bytes(whole)
    assert landing.read(0) == BODY * 100
    landing.drop(0)
    assert landing.read(0) is None


def test_a_staged_page_is_landed_only_when_it_is_kept(folder: Path):
    landing = Landing(folder, REQUEST)
    staged, unused = landing.stage(BODY), landing.stage(BODY)
    assert landing.read(0) is None
    landing.keep(0, staged)
    assert landing.read(0) == BODY
    assert unused.exists()
    landing.complete()
    assert not unused.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_broken_manifest_starts_afresh(folder: Path, content: str):
    land(Landing(folder, REQUEST), BODY)
    (folder / MANIFEST).write_text(content)
    assert state_of(Landing(folder, REQUEST)) == (1, None, False, None)


def test_a_page_that_does_not_fit_leaves_nothing(folder: Path):
    landing = Landing(folder, REQUEST)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            landing.stage(random.Random(0).randbytes(100_000))  # noqa: S311
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in folder.iterdir()] == [MANIFEST]


def test_pages_are_compressed_and_for_their_owner_alone(folder: Path):
    land(Landing(folder, REQUEST), BODY * 1000)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        MANIFEST: 0o600,
        "page-000000.json.zst": 0o600,
    }
    assert (folder / "page-000000.json.zst").stat().st_size < 1000


def test_nothing_else_in_the_folder_is_touched(folder: Path):
    folder.mkdir(parents=True)
    (folder / "precious.db").write_text("rows")
    Landing(folder, REQUEST).begin(2)
    assert (folder / "precious.db").read_text() == "rows"
    remove_landed(folder, -1)
    assert [path.name for path in folder.iterdir()] == ["precious.db"]


def test_removing_what_another_run_removes_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in "abc":
        land(Landing(tmp_path / name, REQUEST), BODY)
    gone = tmp_path / "gone"
    gone.mkdir()
    (gone / MANIFEST).symlink_to("nowhere")  # as if it went between the look and the question for its age
    real = Path.glob

    def glob(folder: Path, pattern: str):
        found = list(real(folder, pattern))
        shutil.rmtree(folder, ignore_errors=True)
        return found

    monkeypatch.setattr(Path, "glob", glob)
    assert len(remove_landed(tmp_path, -1)) == 3
    assert list(tmp_path.iterdir()) == [gone]


def test_old_landings_are_removed_and_young_ones_stay(tmp_path: Path):
    for name, days in (("old", 8), ("young", 6)):
        landing = Landing(tmp_path / "dag" / name, REQUEST)
        land(landing, BODY)
        landing.stage(BODY)
        then = time.time() - days * 86_400
        os.utime(tmp_path / "dag" / name / MANIFEST, (then, then))
    (tmp_path / "dag" / "unrelated").mkdir()
    assert remove_landed(tmp_path, 7) == [tmp_path / "dag" / "old"]
    assert sorted(path.name for path in (tmp_path / "dag").iterdir()) == ["unrelated", "young"]
    assert remove_landed(tmp_path / "nowhere", 7) == []


def test_a_landing_inside_another_is_removed_with_it(tmp_path: Path) -> None:
    for folder in (tmp_path / "task", tmp_path / "task" / "second"):
        Landing(folder, {})
        os.utime(folder / MANIFEST, (0, 0))
    assert len(remove_landed(tmp_path, 1)) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_headers_say_is_kept_with_a_page(tmp_path: Path) -> None:
    landing = Landing(tmp_path, {})
    for page in range(3):
        landing.keep(page, landing.stage(b"[]"), {"link": f"<{page}>"} if page else {})
    assert [Landing(tmp_path, {}).headers(page) for page in range(3)] == [
        {},
        {"link": "<1>"},
        {"link": "<2>"},
    ]
    landing.reopen(2)
    assert sorted(path.name for path in tmp_path.glob("*.headers.json")) == ["page-000001.headers.json"]
    landing.begin(2)
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]
