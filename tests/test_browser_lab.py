"""JupyterLab as `make lab` starts it, in a real browser: from its start page through every notebook."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect
from waiting import family, left_of, until

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection
from notebook_pipeline.review import queries
from sample.child_processes import child
from sample.make_lab import JUPYTER
from sample.make_notebooks import ORDER

# Jupyter and the notebooks get a home of their own; nothing of the checkout is written.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

SECONDS = 120
COUNTS = ("rows_read", "rows_inserted", "rows_updated", "rows_unchanged")
RUN = ("notebook", "dag_id", "status", "error", *COUNTS)


@dataclass
class Lab:
    """Hold a running JupyterLab: its address, the folder it serves, its page in the browser."""

    url: str
    home: Path
    page: Page

    def show_start(self) -> None:
        """Bring the start page's tab to the front."""
        self.page.locator(".lm-TabBar-tab", has_text="README.md").click()

    def open(self, notebook: str) -> None:
        """Click a notebook's link on the start page."""
        self.show_start()
        self.page.locator(".jp-RenderedMarkdown").get_by_role("link", name=notebook, exact=True).click()
        expect(self.shown.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible()

    @property
    def shown(self) -> Any:
        """Return the notebook in front."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def choose(self, menu: str, item: str) -> None:
        """Choose an item of a menu."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{menu}$")).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}$")).click()

    def run_all(self, notebook: str, times: int = 1) -> nbformat.NotebookNode:
        """Run all cells of the notebook in front, for the `times`-th time; return it as saved."""
        path = self.home / "notebooks" / f"{notebook}.ipynb"
        count = times * len(code_cells(until(lambda: read(path))))
        self.choose("Edit", "Clear Outputs of All Cells")
        self.choose("Run", "Run All Cells")
        last = self.shown.locator(".jp-CodeCell .jp-InputPrompt").last
        error = self.shown.locator("[data-mime-type='application/vnd.jupyter.error']")
        done = last.filter(has_text=f"[{count}]:")
        expect(done.or_(error).first).to_be_visible(timeout=SECONDS * 1000)
        self.page.keyboard.press("Control+s")
        executed = until(lambda: saved(path, count), SECONDS)
        assert executed
        return executed

    def runs(self) -> list[dict[str, Any]]:
        """Return what the ledger says of each run, the oldest first."""
        database = Connection("x", "sqlite", host=str(self.home / "results/analytics_database.db"))
        with queries.open_ledger(database) as ledger:
            return [{name: run[name] for name in RUN} for run in reversed(queries.list_runs(ledger))]


def saved(path: Path, count: int) -> nbformat.NotebookNode | None:
    """Return a notebook once it is saved with its cells up to this count; fail where one of them failed."""
    notebook = read(path)
    code = code_cells(notebook)
    failed = [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert not failed, f"{path.name}: {failed[0].ename}: {failed[0].evalue}"
    numbers = [cell.execution_count for cell in code]
    return notebook if code and numbers == list(range(count - len(code) + 1, count + 1)) else None


def read(path: Path) -> nbformat.NotebookNode | None:
    """Return a notebook; None while JupyterLab saves it, which it does in place."""
    with suppress(ValueError):
        return nbformat.read(path, 4)


def code_cells(notebook: nbformat.NotebookNode | None) -> list[nbformat.NotebookNode]:
    """Return the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"] if notebook else []


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Lab]:
    """Start what `make lab` starts, on copies of the notebooks, and open the address that it names."""
    assert JUPYTER.exists(), f"{JUPYTER} is not there: call `make .venv-lab/.lab`"
    home = tmp_path_factory.mktemp("lab")
    for folder in ("notebooks", "datasets", "data"):
        shutil.copytree(settings.CHECKOUT / folder, home / folder)
    said = home / "said.txt"
    command = [sys.executable, "-m", "sample.make_lab"]
    with (
        open(said, "w") as output,
        child(command, env=environment(home), stdout=output, stderr=output) as lab,
    ):
        until(lambda: "token=" in said.read_text() or lab.poll() is not None, SECONDS)
        found = re.search(r"http://127\.0\.0\.1:\d+/\S+token=\w+", said.read_text())
        assert found, said.read_text()
        page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        page.goto(found[0])
        yield Lab(found[0], home, page)
        started = family(lab.pid)
    assert not left_of(started)


def environment(home: Path) -> dict[str, str]:
    """Return this environment with nothing in it that says where things are, but for `home`."""
    ours = ("AIRFLOW_", "NOTEBOOK_PIPELINE_", "JUPYTER_", "XDG_", "IPYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    places = {"NOTEBOOK_PIPELINE_HOME": str(home), "NOTEBOOK_PIPELINE_OUTPUT": str(home / "results")}
    return kept | places | {"HOME": str(home / "user")}


def row(notebook: str, *counts: int | None) -> dict[str, Any]:
    """Return what the ledger says of a run by hand that went well."""
    return dict(zip(RUN, (notebook, "manual", "success", None, *counts), strict=True))


def shown_text(notebook: nbformat.NotebookNode) -> str:
    """Return the plain text of all outputs."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def test_the_start_page_leads_to_every_notebook(lab: Lab) -> None:
    expect(lab.page.get_by_role("heading", name="Start here")).to_be_visible(timeout=SECONDS * 1000)
    for notebook in ORDER:
        lab.open(notebook)
        tab = lab.page.locator(".lm-TabBar-tab.lm-mod-current", has_text=f"{notebook}.ipynb")
        expect(tab).to_be_visible()
    expect(lab.page.locator(".Toastify__toast")).to_have_count(0)


def test_every_notebook_runs_from_top_to_bottom_and_has_its_row_in_the_ledger(lab: Lab) -> None:
    lab.open("bulk_load")
    assert "20,000 rows" in shown_text(lab.run_all("bulk_load"))
    assert lab.runs() == [row("bulk_load", 20_000, 20_000, 0, 0)]
    assert "was already loaded" in shown_text(lab.run_all("bulk_load", times=2))
    assert lab.runs()[1:] == [row("bulk_load", 0, 0, 0, 0)]
    for notebook, counts in (
        ("api_incremental_update", (766, 36, 320, 410)),
        ("data_quality", (None, None, None, None)),
    ):
        lab.open(notebook)
        lab.run_all(notebook)
        assert lab.runs()[-1] == row(notebook, *counts)
    before = lab.runs()
    lab.open("explore_players")
    assert "20,036" in shown_text(lab.run_all("explore_players"))
    lab.open("review_runs")
    assert "api_incremental_update" in shown_text(lab.run_all("review_runs"))
    assert lab.runs() == before
