"""Executed notebooks in a real browser: in the pages of a real Airflow, and as files."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import tiny
from live_airflow import ask
from playwright.sync_api import Browser, FrameLocator, Page, expect
from waiting import until

from notebook_pipeline.connections import Connection
from notebook_pipeline.review.pages import write_pages
from sample import make_airflow
from sample.demo_environment import write_private

# One Airflow and one browser serve all of them, so `make soak` runs them in one process.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

DAG = "reviewed"
DAG_RUN = "manual__2024-03-01T10:00:00+00:00"
PASSWORDS = {"admin": "a-long-password-of-admin", "viewer": "a-long-password-of-viewer"}
HOSTILE = (
    "<script>document.title = 'taken'; top.document.title = 'taken'</script>"
    "<img src='x' onerror=\"top.document.title = 'taken'\">"
    "<svg onload=\"top.document.title = 'taken'\"></svg>"
    "<iframe srcdoc=\"<script>top.document.title = 'taken'</script>\"></iframe>"
    "<a id='link' href=\"javascript:top.document.title = 'taken'\">link</a><p>after the attack</p>"
)
DAG_FILE = """
from datetime import timedelta

from airflow.sdk import DAG

from notebook_pipeline.airflow import NotebookOperator

with DAG("reviewed", is_paused_upon_creation=False, default_args={"retry_delay": timedelta(seconds=1)}):
    flaky = NotebookOperator(task_id="flaky", input_nb="flaky", retries=1)
    mapped = NotebookOperator.partial(task_id="mapped", input_nb="words").expand(
        parameters=[{"words": "alpha"}, {"words": "beta"}]
    )
    hostile = NotebookOperator(task_id="hostile", input_nb="hostile")
    slow = NotebookOperator(task_id="slow", input_nb="slow")
"""


@dataclass
class Airflow:
    """Hold a running Airflow and a browser; tell what pages complain about."""

    url: str
    output: Path
    browser: Browser
    api: requests.Session = field(default_factory=requests.Session)

    def log_in(self, user: str) -> Page:
        page = self.browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        page.goto(f"{self.url}/auth/login")
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", PASSWORDS[user])
        page.press("input[name=password]", "Enter")
        page.wait_for_url(lambda url: "login" not in url)
        return page

    def task(self, task_id: str) -> str:
        run = quote(DAG_RUN, safe="")
        return f"{self.url}/dags/{DAG}/runs/{run}/tasks/{task_id}/plugin/notebook"

    def instances(self) -> list[dict[str, Any]]:
        run = f"{self.url}/api/v2/dags/{DAG}/dagRuns/{quote(DAG_RUN, safe='')}"
        return ask(self.api, "GET", f"{run}/taskInstances")["task_instances"]

    def states(self) -> dict[str, str]:
        """Return the state of each task instance, mapped ones by their index."""
        return {f"{one['task_id']}{one['map_index']}": one["state"] for one in self.instances()}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Airflow]:
    """Run the whole of Airflow on a DAG whose runs are worth a look, until all but the slow task are done."""
    home = tmp_path_factory.mktemp("home")
    write_notebooks(home)
    (home / "dags").mkdir()
    (home / "dags/reviewed.py").write_text(DAG_FILE)
    own = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
    }
    environment = make_airflow.live_environment
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTEBOOK_PIPELINE_HOME", str(home))
        patch.setattr(make_airflow, "live_environment", lambda place: environment(place) | own)
        (home / "airflow").mkdir(mode=0o700)
        write_private(home / "airflow/passwords.json", json.dumps(PASSWORDS))
        with make_airflow.running(home / "airflow") as (told, _):
            started = Airflow(told[0].removeprefix("Airflow: "), home / "output", browser)
            start_run(started)
            yield started


def write_notebooks(home: Path) -> None:
    """Write notebooks that fail once, say what they are told, attack the page, wait for a file."""
    notebooks = home / "notebooks"
    mark, go = home / "tried", home / "go"
    tiny.write(
        notebooks / "flaky.ipynb",
        tiny.parameters("words: str = 'x'"),
        f"from pathlib import Path\nmark = Path({str(mark)!r})",
        "if not mark.exists():\n    mark.touch()\n    raise RuntimeError('the first try fails')",
        "print('the second try passes')",
    )
    tiny.write(notebooks / "words.ipynb", tiny.parameters("words: str = 'x'"), "print('told', words)")
    tiny.write(
        notebooks / "hostile.ipynb",
        tiny.parameters("words: str = 'x'"),
        f"# Hostile\n\n{HOSTILE}",
        f"from IPython.display import HTML\nHTML({HOSTILE!r})",
    )
    tiny.write(
        notebooks / "slow.ipynb",
        tiny.parameters("words: str = 'x'"),
        "print('the first cell is done')",
        f"import time\nfrom pathlib import Path\nwhile not Path({str(go)!r}).exists(): time.sleep(0.1)",
        "print('the last cell is done')",
    )


def start_run(airflow: Airflow) -> None:
    """Start the DAG's run under an id with + and :, and wait for all but the slow task."""
    login = {"username": "admin", "password": PASSWORDS["admin"]}
    token = requests.post(f"{airflow.url}/auth/token", json=login, timeout=30).json()["access_token"]
    airflow.api.headers["Authorization"] = f"Bearer {token}"
    dag = f"{airflow.url}/api/v2/dags/{DAG}"
    until(lambda: airflow.api.get(dag).ok, 120)
    ask(airflow.api, "POST", f"{dag}/dagRuns", {"dag_run_id": DAG_RUN, "logical_date": None})
    done = {"flaky-1": "success", "mapped0": "success", "mapped1": "success", "hostile-1": "success"}
    until(lambda: airflow.states() == {**done, "slow-1": "running"}, 300)


def tab(page: Page) -> tuple[FrameLocator, FrameLocator]:
    """Return our outer page within Airflow's, and the notebook within that."""
    outer = page.frame_locator("iframe")
    return outer, outer.frame_locator("iframe")


@pytest.mark.parametrize("user", ["admin", "viewer"])
def test_each_try_of_a_task_shows_its_own_notebook(airflow: Airflow, user: str) -> None:
    page = airflow.log_in(user)
    page.goto(airflow.task("flaky").removesuffix("/plugin/notebook"))
    page.get_by_role("link", name="Notebook", exact=True).click()
    outer, notebook = tab(page)
    expect(outer.locator("h1")).to_have_text("flaky success")
    expect(notebook.get_by_text("the second try passes", exact=True)).to_be_visible()
    outer.locator("select[name=try_number]").select_option("1")
    expect(outer.locator("h1")).to_have_text("flaky failed")
    expect(outer.locator(".cause")).to_have_text("RuntimeError: the first try fails")
    expect(notebook.locator(".cell.failed")).to_be_in_viewport()
    expect(notebook.locator(".cell.not-run")).to_have_count(1)


def test_the_tab_follows_the_try_that_airflow_shows(airflow: Airflow) -> None:
    page = airflow.log_in("viewer")
    page.goto(f"{airflow.task('flaky')}?try_number=1")
    expect(tab(page)[0].locator("h1")).to_have_text("flaky failed")


def test_each_map_index_shows_its_own_notebook(airflow: Airflow) -> None:
    page = airflow.log_in("viewer")
    run = quote(DAG_RUN, safe="")
    outer, notebook = tab(page)
    for index, words in enumerate(("alpha", "beta")):
        page.goto(f"{airflow.url}/dags/{DAG}/runs/{run}/tasks/mapped/mapped/{index}/plugin/notebook")
        expect(notebook.get_by_text(f"told {words}", exact=True)).to_be_visible()
    outer.locator("select[name=map_index]").select_option("0")
    expect(notebook.get_by_text("told alpha", exact=True)).to_be_visible()


def test_a_hostile_notebook_runs_nothing(airflow: Airflow) -> None:
    page = airflow.log_in("viewer")
    page.goto(airflow.task("hostile"))
    outer, notebook = tab(page)
    expect(notebook.get_by_text("after the attack").last).to_be_visible()
    for link in notebook.get_by_text("link", exact=True).all():
        link.click()
    expect(outer.locator("h1")).to_have_text("hostile success")
    frames = {frame.url: frame for frame in page.frames}
    inner = next(frame for url, frame in frames.items() if "notebook.html" in url)
    assert "taken" not in {frame.title() for frame in frames.values()}
    assert inner.locator("script, [onerror], [onload], iframe, svg").count() == 0
    # The same page opened by itself, as a link would, is in the same sandbox.
    page.goto(inner.url)
    assert page.evaluate("origin") == "null"
    assert "taken" not in page.title()


def test_the_sandbox_holds_even_where_the_cleaning_does_not(airflow: Airflow) -> None:
    """Serve the attack as it is, under the headers of the notebook's page."""
    page = airflow.log_in("viewer")
    page.goto(airflow.task("hostile"))
    expect(tab(page)[1].get_by_text("after the attack").last).to_be_visible()
    attack = f"<title>mine</title><body>{HOSTILE}</body>"

    def uncleaned(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=attack)

    page.route("**/notebook.html*", uncleaned)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.reload()
    expect(tab(page)[1].get_by_text("after the attack")).to_be_visible()
    assert "taken" not in {frame.title() for frame in page.frames}
    assert any("Blocked script execution" in complaint for complaint in complaints), complaints


def test_a_running_notebook_shows_its_cells_as_they_finish(airflow: Airflow) -> None:
    page = airflow.log_in("viewer")
    page.goto(airflow.task("slow"))
    outer, notebook = tab(page)
    expect(outer.locator("h1")).to_have_text("slow running")
    expect(notebook.get_by_text("the first cell is done", exact=True)).to_be_visible()
    expect(notebook.locator(".cell.running")).to_be_in_viewport()
    assert notebook.get_by_text("the last cell is done", exact=True).count() == 0
    (airflow.output.parent / "go").touch()
    expect(notebook.get_by_text("the last cell is done", exact=True)).to_be_visible(timeout=60_000)
    expect(outer.locator("h1")).to_have_text("slow success", timeout=60_000)


def test_the_ledger_leads_to_the_task_and_back(airflow: Airflow) -> None:
    page = airflow.log_in("viewer")
    page.goto(f"{airflow.url}/plugin/notebook-runs")
    outer = page.frame_locator("iframe")
    expect(outer.locator("table.runs a[data-host]")).to_have_count(6)
    outer.locator("select[name=status]").select_option("failed")
    expect(outer.locator("table.runs a[data-host]")).to_have_count(1)
    outer.locator("table.runs a[data-host]").click()
    page.wait_for_url("**/tasks/flaky/plugin/notebook?try_number=1")
    expect(tab(page)[0].locator("h1")).to_have_text("flaky failed")
    tab(page)[0].get_by_role("link", name="All runs").click()
    page.wait_for_url("**/plugin/notebook-runs**")


def test_the_notebook_is_downloaded(airflow: Airflow) -> None:
    page = airflow.log_in("viewer")
    page.goto(airflow.task("flaky"))
    with page.expect_download() as download:
        tab(page)[0].get_by_role("link", name=".ipynb").click()
    saved = json.loads(download.value.path().read_bytes())
    assert saved["metadata"]["notebook_pipeline"]["task_id"] == "flaky"


def test_the_difference_shows_what_the_second_try_did_otherwise(airflow: Airflow) -> None:
    page = airflow.log_in("viewer")
    page.goto(airflow.task("flaky"))
    outer, difference = tab(page)
    outer.get_by_role("link", name="Difference from the previous run").click()
    expect(difference.get_by_text("-RuntimeError: the first try fails")).to_be_visible()
    expect(difference.get_by_text("+the second try passes")).to_be_visible()


def test_light_and_dark_follow_airflow(airflow: Airflow) -> None:
    page = airflow.log_in("viewer")
    backgrounds = {}
    for theme in ("light", "dark"):
        page.evaluate(f"localStorage.setItem('theme', '{theme}')")
        page.goto(airflow.task("flaky"))
        outer, notebook = tab(page)
        expect(notebook.get_by_text("the second try passes", exact=True)).to_be_visible()
        colour = "body => getComputedStyle(body).backgroundColor"
        backgrounds[theme] = {part.locator("body").evaluate(colour) for part in (outer, notebook)}
    assert backgrounds == {"light": {"rgb(255, 255, 255)"}, "dark": {"rgb(21, 24, 29)"}}


def test_who_is_not_logged_in_sees_no_notebook(airflow: Airflow) -> None:
    page = airflow.log_in("viewer")
    page.goto(airflow.task("flaky"))
    expect(tab(page)[1].get_by_text("the second try passes", exact=True)).to_be_visible()
    addresses = [frame.url for frame in page.frames if "/notebooks/" in frame.url]
    assert len(addresses) == 2
    visitor = airflow.browser.new_context().new_page()
    for address in [*addresses, f"{airflow.url}/notebooks/runs", f"{airflow.url}/notebooks/outer.js"]:
        answer = visitor.goto(address)
        assert answer is not None
        assert answer.status == 401
        assert "second try" not in visitor.content()


@pytest.mark.parametrize("opened", ["file", "printed"])
def test_static_pages_open_from_the_file_system_and_load_nothing(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, opened: str
) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(airflow.output))
    database = Connection("x", "sqlite", host=str(airflow.output / "analytics_database.db"))
    index = Path(write_pages(connection=database).index)
    page = airflow.browser.new_context().new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(index.as_uri())
    if opened == "printed":
        page.emulate_media(media="print")
    page.get_by_role("link", name="hostile").click()
    expect(page.get_by_text("after the attack").last).to_be_visible()
    assert page.title() != "taken"
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert complaints == []
    if opened == "printed":
        assert page.pdf(path=tmp_path / "page.pdf").startswith(b"%PDF")
