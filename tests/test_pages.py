"""The static pages: what they say, what they link to, and which of them are written again."""

import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from databases import on_each
from story import ADA, API, BO, Story, code, printed, shown

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import UsageError
from notebook_pipeline.outputs.folder import Folder
from notebook_pipeline.review import queries
from notebook_pipeline.review.charts import Point, bar_chart, line_chart
from notebook_pipeline.review.difference import compare, review
from notebook_pipeline.review.pages import Written, write_difference, write_pages

pytestmark = pytest.mark.only("sqlite")


@pytest.fixture
def story(each_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path))
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2024-01-04")
    told = Story(tmp_path)
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DATABASE", told.connection.to_json())
    yield told
    told.close()


class Page(HTMLParser):
    """Hold what a page links to, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.loads: list[str] = []
        self.words: list[str] = []
        self.names: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}
        for name, value in attrs:
            if name == "href":
                self.links.append(value or "")
            elif name in ("src", "srcset", "action", "data", "poster"):
                self.loads.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def pages(story: Story) -> dict[str, Page]:
    folder = story.output / "review"
    return {str(path.relative_to(folder)): Page(path) for path in sorted(folder.rglob("*.html"))}


def write(story: Story, *, rewrite: bool = False) -> Written:
    return write_pages(connection=story.connection, rewrite=rewrite)


@on_each
def test_every_run_and_dataset_has_a_page_and_every_link_leads_to_one(story: Story) -> None:
    first = story.run(rows=[ADA], cells=[code("load()", printed("1 row"))])
    second = story.run(rows=[ADA, BO], cells=[code("load()", printed("2 rows"))])
    checked = story.run("data_quality", status="failed", error="DataRefused: <ids> repeat")
    story.check(checked, "ids are unique", passed=False, measured="3 rows")
    assert write(story) == Written(str(story.output / "review/index.html"), 3, 3)
    made = pages(story)
    runs = [f"runs/{run_id}.html" for run_id in (first, second, checked)]
    assert sorted(made) == ["datasets/player.html", "index.html", *runs]
    for page in made.values():
        for link in page.links:
            assert (page.path.parent / link).is_file(), f"{page.path} leads to {link}"
    assert [link for link in made["index.html"].links if link.startswith("runs/")] == runs[::-1]
    assert "DataRefused: <ids> repeat" in made["index.html"].text
    assert "rows_read 1 2 (+1)" in made[runs[1]].text
    assert "-1 row +2 rows" in made[runs[1]].text
    assert "ids are unique failed 3 rows 0 —" in made[runs[2]].text
    assert "No run before" not in made[runs[0]].text


def test_pages_load_nothing_and_run_nothing(story: Story) -> None:
    evil = "<img src=https://x/y onerror=alert(1)><script>alert(1)</script>"
    picture = shown(image_png="QUJD", text_plain="<Figure>")
    run_id = story.run(rows=[ADA], cells=[code(evil, printed(evil), shown(text_html=evil), picture)])
    story.reject(run_id, ("p:1", {"x": evil}, [evil]))
    story.check(run_id, evil, passed=False, measured=evil)
    story.run("bulk_load", status="failed", error=evil, parameters={"dataset": "player", "source": evil})
    write(story)
    for page in pages(story).values():
        active = {"script", "link", "iframe", "object", "onerror", "style"} & page.names
        assert active == {"style"}, page.path
        assert all(load.startswith("data:image/") for load in page.loads), page.path
        assert "default-src &#39;none&#39;" in page.path.read_text(encoding="utf-8")


def test_pages_are_for_their_owner_alone(story: Story) -> None:
    story.run(cells=[code("1")])
    write(story)
    for path in (story.output / "review").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@on_each
def test_only_what_changed_is_written_again(story: Story) -> None:
    kept = story.run(cells=[code("1")])
    running = story.run(cells=[code("1", status="running")], status="running")
    artefact = f"runs/manual/{running}/{running}.ipynb"
    assert write(story).rendered == 2
    assert write(story).rendered == 0
    before = (story.output / f"review/runs/{kept}.html").stat().st_mtime_ns
    story.write_artefact(artefact, [code("1"), code("2")], {})
    assert write(story).rendered == 1
    story.database.execute(
        "UPDATE pipeline_run SET status = 'success', finished_at = started_at WHERE run_id = ?", [running]
    )
    assert write(story).rendered == 1
    new = story.run(cells=[code("1")])
    assert (write(story).rendered, write(story).rendered) == (1, 0)
    (story.output / f"review/runs/{new}.html").unlink()
    assert write(story).rendered == 1
    assert (story.output / f"review/runs/{kept}.html").stat().st_mtime_ns == before
    assert write(story, rewrite=True).rendered == 3


def test_changed_templates_rewrite_all_pages(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    story.run(cells=[code("1")])
    write(story)
    monkeypatch.setattr("notebook_pipeline.review.pages.templates_digest", lambda: "another")
    assert write(story).rendered == 1


def test_a_run_that_was_forgotten_loses_its_page(story: Story) -> None:
    forgotten, kept = story.run(), story.run()
    write(story)
    story.database.execute("DELETE FROM pipeline_run WHERE run_id = ?", [forgotten])
    write(story)
    assert [path.stem for path in (story.output / "review/runs").iterdir()] == [kept]


def test_a_missing_damaged_or_foreign_artefact_is_told_on_its_page(story: Story) -> None:
    gone = story.run()
    damaged = story.run(artifact="runs/damaged.ipynb")
    (story.output / "runs").mkdir(exist_ok=True)
    (story.output / "runs/damaged.ipynb").write_text("{")
    odd = story.run(artifact="runs/odd.ipynb")
    (story.output / "runs/odd.ipynb").write_text('{"cells": [{"source": "x"}]}')
    foreign = story.run(artifact="../foreign.ipynb")
    write(story)
    made = pages(story)
    assert "is missing" in made[f"runs/{gone}.html"].text
    assert "cannot be read as a notebook" in made[f"runs/{damaged}.html"].text
    assert "cannot be read as a notebook" in made[f"runs/{odd}.html"].text
    assert "is not a notebook below" in made[f"runs/{foreign}.html"].text


def test_the_index_goes_on_after_500_runs(story: Story) -> None:
    story.database.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 501) "
        "INSERT INTO pipeline_run (run_id, dag_id, dag_run_id, task_id, map_index, try_number, notebook, "
        "notebook_sha256, parameters, status, started_at, finished_at) SELECT printf('r%04d', i), 'a', 'a', "
        "'a', -1, 1, 'a', '', '{}', 'success', '2024-01-01T00:00:00', '2024-01-01T00:00:01' FROM n"
    )
    write(story)
    made = pages(story)
    assert made["index.html"].links[0] == "runs/r0501.html"
    assert made["index.html"].links[-1] == "index-2.html"
    assert made["index-2.html"].links == ["runs/r0001.html", "index.html"]


@on_each
def test_a_dataset_shows_rows_watermark_freshness_and_quality(story: Story) -> None:
    story.run(rows=[ADA])
    story.run("api_incremental_update", rows=[{**BO, "last_changed_date": "2024-01-02"}], origin=API)
    for passed in (True, False):
        checked = story.run("data_quality")
        story.check(checked, "ids are unique", passed=True, measured="0 rows")
        story.check(checked, "is fresh", passed=passed, severity="warn", measured="2 days")
    write(story)
    dataset = pages(story)["datasets/player.html"].text
    assert "rows 2 newest row 2024-01-02, 2 days ago" in dataset
    assert "watermark, bulk 2024-01-01, updated" in dataset
    assert "watermark, api 2024-01-02, updated" in dataset
    assert "2 rows in the table after 2 loads" in dataset
    assert "ids are unique ● ● 0 rows 0 is fresh ● ▲ 2 days 0" in dataset
    assert "player 2 bulk 2024-01-01, api 2024-01-02 2024-01-02, 2 days ago warning" in (
        pages(story)["index.html"].text
    )


@on_each
def test_the_difference_of_two_runs_is_a_page(story: Story) -> None:
    made = [story.run(cells=[code("x", shown(image_png=data))]) for data in ("QUJD", "REVG")]
    sides = [queries.find_run(story.database, run_id) for run_id in made]
    found = compare(*(review(story.database, Folder(story.output), run) for run in sides))
    path = Path(write_difference(found))
    assert path == story.output / f"review/differences/{made[0]}..{made[1]}.html"
    assert Page(path).loads == ["data:image/png;base64,QUJD", "data:image/png;base64,REVG"]


def test_two_writers_do_not_hinder_each_other(story: Story) -> None:
    story.run(cells=[code("1")])
    write(story)
    temporary = story.output / "review/runs/.left.tmp"
    temporary.touch()
    command = [sys.executable, "-m", "notebook_pipeline", "review", "--all", "--json"]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    index = str(story.output / "review/index.html")
    for writer in writers:
        assert json.loads(writer.communicate()[0]) == {"index": index, "runs": 1, "rendered": 1}
    assert not temporary.exists()


def test_without_a_ledger_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path))
    with pytest.raises(UsageError, match="no database yet"):
        write_pages(connection=Connection("x", "sqlite", host=str(tmp_path / "none.db")))
    assert list(tmp_path.iterdir()) == []


def test_charts_are_drawn_to_scale() -> None:
    line = line_chart("t", "rows", [Point("a", 10), Point("b", 30)])
    bars = bar_chart("t", "seconds", [Point("a", 2), Point("b", 1, "failed")])
    assert re.findall(r'cy="([\d.]+)"', line) == ["150.0", "30.0"]
    assert re.findall(r'class="bar (\w*)".*?height="([\d.]+)"', bars) == [("", "120.0"), ("failed", "60.0")]
    assert "<circle" not in line_chart("t", "rows", [])
    assert (
        re.findall(r'cy="([\d.]+)"', line_chart("t", "rows", [Point("a", 5), Point("b", 5)])) == ["30.0"] * 2
    )
