"""Executed notebooks in Airflow: who may see what, and that nothing else can be reached."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import databases
import pytest
from databases import on_each
from nbformat import v4
from story import ADA, BO, Story, code, printed, shown

from notebook_pipeline.airflow.plugin import NotebookPipelinePlugin
from notebook_pipeline.outputs.output_store import open_output
from notebook_pipeline.storage import ledger

pytestmark = pytest.mark.only("sqlite")

DAG_RUN = "manual__2024-03-01T10:00:00+00:00"
DAG = "a_dag"


@pytest.fixture(scope="module")
def airflow() -> Iterator[Any]:
    """Give Airflow's real application, its database, and users of its real auth manager."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin")
        import airflow.models
        from airflow import settings
        from airflow.api_fastapi.app import create_app, purge_cached_app
        from airflow.models.base import Base
        from fastapi.testclient import TestClient

        airflow.models.import_all_models()
        Base.metadata.create_all(settings.engine)  # type: ignore[attr-defined]
        _add_dag_of_team(settings.Session, DAG, "red")
        purge_cached_app()
        yield TestClient(create_app(apps="core"), base_url="http://airflow.example")
        purge_cached_app()


def _add_dag_of_team(make_session: Any, dag_id: str, team: str) -> None:
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.team import Team

    with make_session() as session:
        if session.get(DagModel, dag_id):
            return  # this process has made it before: tests of a module need not run in a row
        bundle = DagBundleModel(name=f"bundle-of-{team}")
        bundle.teams = [Team(name=team)]
        session.add(bundle)
        session.flush()
        session.add(DagModel(dag_id=dag_id, bundle_name=bundle.name, fileloc="/none", is_paused=True))
        session.commit()


@pytest.fixture
def story(each_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path))
    told = Story(tmp_path)
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DATABASE", told.connection.to_json())
    yield told
    told.close()


def token(name: str, teams: list[str], role: str = "viewer") -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role, teams=teams))


@pytest.fixture
def viewer(airflow: Any) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token('viewer', ['red', 'blue'])}"}


@pytest.fixture
def outsider(airflow: Any) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token('outsider', ['blue'])}"}


def notebook_of(words: str) -> list[Any]:
    return [code(f"print('{words}')", printed(words))]


def ask(airflow: Any, user: Mapping[str, str], address: str, **query: Any) -> Any:
    return airflow.get(f"/notebooks/{address}", params=query, headers=user, follow_redirects=False)


def task_page(airflow: Any, user: Mapping[str, str], **query: Any) -> Any:
    asked = {"dag_run_id": DAG_RUN, "task_id": "load", "map_index": "{MAP_INDEX}", **query}
    return ask(airflow, user, f"dags/{DAG}/task", **asked)


def in_task(story: Story, words: str, **about: Any) -> str:
    """Add a run of the task whose pages are asked for; its notebook printed the words."""
    given = {"dag_id": DAG, "dag_run_id": DAG_RUN, "task_id": "load", **about}
    return story.run(cells=notebook_of(words), **given)


def addresses(run_id: str) -> list[str]:
    """Return an address for each route there is."""
    from starlette.routing import Route

    from notebook_pipeline.airflow.plugin_pages import pages

    query = f"?dag_run_id={quote(DAG_RUN)}&task_id=load"
    return [
        route.path.format(dag_id=DAG, run_id=run_id).lstrip("/") + (query if "/task" in route.path else "")
        for route in pages("/notebooks").routes
        if isinstance(route, Route)
    ]


def test_the_plugin_is_registered_and_its_pages_are_mounted(airflow: Any, viewer: Mapping[str, str]) -> None:
    from airflow.plugins_manager import get_fastapi_plugins

    found = [app["url_prefix"] for app in get_fastapi_plugins()[0]]
    views = {view["url_route"]: view["destination"] for view in NotebookPipelinePlugin.external_views}
    assert found == ["/notebooks"]
    assert views == {"notebook": "task_instance", "notebook-runs": "nav"}


def test_tasks_that_load_the_plugin_do_not_load_its_pages() -> None:
    heavy = "notebook_pipeline.airflow.plugin_pages airflow.api_fastapi fastapi papermill pyarrow"
    program = (
        "import sys, notebook_pipeline.airflow.plugin; "
        f"print([name for name in {heavy.split()} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.splitlines()[-1] == "[]"


def test_every_route_is_known_to_the_tests_of_who_may_see_what(airflow: Any) -> None:
    assert sorted(address.partition("?")[0] for address in addresses("r")) == [
        "dags/a_dag/runs/r",
        "dags/a_dag/runs/r/difference.html",
        "dags/a_dag/runs/r/notebook.html",
        "dags/a_dag/runs/r/notebook.ipynb",
        "dags/a_dag/runs/r/state",
        "dags/a_dag/task",
        "dags/a_dag/task/state",
        "outer.js",
        "runs",
    ]


def test_anonymous_and_forged_get_nothing_from_any_route(airflow: Any, story: Story) -> None:
    in_task(story, "secret words", rows=[ADA])
    run_id = in_task(story, "secret words", try_number=2)
    forged = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJhZG1pbiJ9."}
    for address in addresses(run_id):
        for user in ({}, forged, {"Authorization": "Bearer "}, {"Cookie": "_token=x"}):
            answer = airflow.get(f"/notebooks/{address}", headers=user)
            assert answer.status_code in (401, 403), address
            assert "secret" not in answer.text
            assert run_id not in answer.text


@on_each
def test_who_may_not_read_a_dags_logs_gets_nothing_of_it(
    airflow: Any, story: Story, outsider: Mapping[str, str], viewer: Mapping[str, str]
) -> None:
    in_task(story, "secret words")
    run_id = in_task(story, "secret words", try_number=2)
    story.run("data_quality", dag_id="of_no_team", cells=notebook_of("free words"))
    of_dag = [address for address in addresses(run_id) if address.startswith("dags/")]
    assert {airflow.get(f"/notebooks/{there}", headers=outsider).status_code for there in of_dag} == {403}
    assert {airflow.get(f"/notebooks/{there}", headers=viewer).status_code for there in of_dag} == {200}
    seen = ask(airflow, outsider, "runs").text
    assert "of_no_team" in seen
    assert DAG not in seen
    assert "bulk_load" not in seen
    assert "1 run," in seen
    assert DAG in ask(airflow, viewer, "runs").text


def test_a_run_is_not_reached_through_another_dag(
    airflow: Any, story: Story, outsider: Mapping[str, str]
) -> None:
    in_task(story, "secret words")
    run_id = in_task(story, "secret words", try_number=2)
    for route in ("", "/state", "/notebook.html", "/difference.html", "/notebook.ipynb"):
        for dag_id in ("of_no_team", "~", "manual"):
            answer = ask(airflow, outsider, f"dags/{dag_id}/runs/{run_id}{route}", dag_id="of_no_team")
            assert (answer.status_code, "secret" in answer.text) == (404, False), (dag_id, route)


@on_each
def test_the_tab_shows_the_last_try_and_leads_to_the_others(
    airflow: Any, story: Story, viewer: Mapping[str, str]
) -> None:
    failed = in_task(story, "first", status="failed", error="PipelineError: <no> server")
    passed = in_task(story, "second", try_number=2, rows=[ADA, BO])
    last, first = task_page(airflow, viewer).text, task_page(airflow, viewer, try_number="1").text
    assert f"/notebooks/dags/{DAG}/runs/{passed}/notebook.html" in last
    assert f"/notebooks/dags/{DAG}/runs/{failed}/notebook.html" in first
    assert "PipelineError: &lt;no&gt; server" in first
    assert "PipelineError" not in last
    assert "<b>2</b><span>inserted</span>" in last
    assert re.findall(r'<option value="(\d)"( selected)?>(\d \(\w+\))', last) == [
        ("1", "", "1 (failed)"),
        ("2", " selected", "2 (success)"),
    ]
    assert "This try ran no notebook" in task_page(airflow, viewer, try_number="3").text
    assert "This task has run no notebook yet" in task_page(airflow, viewer, task_id="other").text


def test_each_map_index_has_its_own_notebook(airflow: Any, story: Story, viewer: Mapping[str, str]) -> None:
    mapped = [in_task(story, f"index {index}", map_index=index) for index in (0, 1, 10)]
    retried = in_task(story, "again", map_index=1, try_number=2)
    shown = {
        index: re.findall(r"/runs/([^/]+)/notebook\.html", task_page(airflow, viewer, map_index=index).text)
        for index in ("{MAP_INDEX}", "0", "1", "10", "2", "-1")
    }
    assert shown == {
        "{MAP_INDEX}": [mapped[0]],
        "0": [mapped[0]],
        "1": [retried],
        "10": [mapped[2]],
        "2": [],
        "-1": [mapped[0]],
    }
    page = task_page(airflow, viewer, map_index="1").text
    assert re.findall(r"<option( selected)?>(\d+)<", page) == [("", "0"), (" selected", "1"), ("", "10")]


def test_run_ids_that_differ_only_by_plus_and_colon_are_told_apart(
    airflow: Any, story: Story, viewer: Mapping[str, str]
) -> None:
    ids = [
        "manual__2024-03-01T10:00:00+00:00",
        "manual__2024-03-01T10:00:00 00:00",
        "manual__2024-03-01T10-00-00+00-00",
    ]
    made = {dag_run_id: in_task(story, "x", dag_run_id=dag_run_id) for dag_run_id in ids}
    for dag_run_id, run_id in made.items():
        assert f"/runs/{run_id}/notebook.html" in task_page(airflow, viewer, dag_run_id=dag_run_id).text


def test_a_notebook_is_served_in_a_sandbox(airflow: Any, story: Story, viewer: Mapping[str, str]) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    cells = [code("x", shown(text_html=evil), printed(evil)), v4.new_markdown_cell(evil)]
    run_id = story.run(dag_id=DAG, cells=cells)
    answer = ask(airflow, viewer, f"dags/{DAG}/runs/{run_id}/notebook.html", theme="dark")
    policy = answer.headers["content-security-policy"]
    assert policy.split("; ")[:2] == ["sandbox", "default-src 'none'"]
    assert "allow-" not in policy
    assert "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert '<html lang="en" data-theme="dark">' in answer.text
    assert "<script" not in answer.text
    assert not re.search(r"<[^>]*onerror", answer.text)


def test_outer_pages_run_one_script_of_ours_and_nothing_else(
    airflow: Any, story: Story, viewer: Mapping[str, str]
) -> None:
    evil = "\"'><script>alert(1)</script>"
    in_task(story, "x", status="failed", error=evil)
    for page in (
        task_page(airflow, viewer, view=evil, extra=evil),
        ask(airflow, viewer, "runs", notebook=evil, dataset=evil, status=evil),
    ):
        policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
        assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
        assert (policy["frame-ancestors"], policy["frame-src"]) == ("'self'", "'self'")
        assert re.findall(r"<script[^>]*>", page.text) == ['<script src="/notebooks/outer.js" defer>']
        assert "<iframe" not in page.text or '<iframe sandbox title="Executed notebook"' in page.text
    assert ask(airflow, viewer, "outer.js").headers["content-type"].startswith("text/javascript")


TRAVERSALS = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/analytics_database.db",
    "%2fetc%2fpasswd",
    "..%5c..%5canalytics_database.db",
    "x%00.ipynb",
    "%252e%252e%252fanalytics_database.db",
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_a_path_in_an_address_leads_nowhere(
    airflow: Any, story: Story, viewer: Mapping[str, str], path: str
) -> None:
    for address in (
        f"dags/{DAG}/runs/{path}/notebook.html",
        f"dags/{DAG}/runs/{path}/notebook.ipynb",
        f"dags/{DAG}/runs/{path}",
        f"dags/{path}/runs/x/notebook.ipynb",
        f"{path}",
    ):
        answer = airflow.get(f"/notebooks/{address}", headers=viewer)
        assert answer.status_code == 404 or '<div id="root"' in answer.text, address
        assert "root:" not in answer.text
        assert "SQLite" not in answer.text
    page = task_page(airflow, viewer, dag_run_id=unquote(path), task_id=unquote(path))
    assert "This task has run no notebook yet" in page.text
    assert task_page(airflow, viewer, map_index=unquote(path)).status_code == 404


@pytest.mark.parametrize(
    "artifact", ["../outside.ipynb", "/etc/passwd", "runs/link.ipynb", "runs/secret.txt"]
)
def test_a_ledger_that_names_other_files_does_not_open_them(
    airflow: Any, story: Story, viewer: Mapping[str, str], artifact: str
) -> None:
    story.write_artefact("../outside.ipynb", notebook_of("secret"), {})
    (story.output / "runs").mkdir()
    (story.output / "runs/secret.txt").write_text("secret")
    (story.output / "runs/link.ipynb").symlink_to(story.output.parent / "outside.ipynb")
    run_id = story.run(dag_id=DAG, artifact=artifact)
    for route in ("notebook.html", "notebook.ipynb", "state"):
        answer = ask(airflow, viewer, f"dags/{DAG}/runs/{run_id}/{route}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "no such run or notebook"})


def test_a_database_that_cannot_be_read_is_told_from_a_run_that_is_not_there(
    airflow: Any, story: Story, viewer: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    run_id = in_task(story, "words")
    story.database.close()
    [file] = story.output.glob("*.db")
    file.write_bytes(b"no database at all " * 100)
    for answer in (
        ask(airflow, viewer, "runs"),
        task_page(airflow, viewer),
        ask(airflow, viewer, f"dags/{DAG}/runs/{run_id}/notebook.html"),
    ):
        assert answer.status_code == 503
        assert str(file) not in answer.text
        assert "see the log of the API server" in answer.json()["detail"]
    assert caplog.text.count(f"the ledger cannot be read: {file}: ") == 3
    assert ask(airflow, {}, "runs").status_code in (401, 403)


def test_a_notebook_is_downloaded_as_it_was_saved(
    airflow: Any, story: Story, viewer: Mapping[str, str]
) -> None:
    run_id = story.run(dag_id=DAG, task_id="load", cells=notebook_of("words"), artifact="runs/a/b.ipynb")
    answer = ask(airflow, viewer, f"dags/{DAG}/runs/{run_id}/notebook.ipynb")
    assert answer.content == (story.output / "runs/a/b.ipynb").read_bytes()
    assert answer.headers["content-disposition"] == f'attachment; filename="load__{run_id}.ipynb"'
    assert answer.headers["content-type"] == "application/x-ipynb+json"


def test_a_missing_notebook_is_explained_in_its_place(
    airflow: Any, story: Story, viewer: Mapping[str, str]
) -> None:
    run_id = story.run(dag_id=DAG)
    assert "is missing" in ask(airflow, viewer, f"dags/{DAG}/runs/{run_id}/notebook.html").text
    assert ask(airflow, viewer, f"dags/{DAG}/runs/{run_id}/notebook.ipynb").status_code == 404


@on_each
def test_the_difference_is_from_the_run_before_of_the_same_task(
    airflow: Any, story: Story, viewer: Mapping[str, str]
) -> None:
    first = in_task(story, "one")
    in_task(story, "elsewhere", task_id="other")
    second = in_task(story, "two", dag_run_id="next")
    page = ask(airflow, viewer, f"dags/{DAG}/runs/{second}/difference.html")
    assert re.findall(r'<span class="(?:minus|plus)">([^<]*)', page.text)[-2:] == ["-one", "+two"]
    assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert ask(airflow, viewer, f"dags/{DAG}/runs/{first}/difference.html").status_code == 404
    assert "Difference from the previous run" not in task_page(airflow, viewer).text
    shown = task_page(airflow, viewer, dag_run_id="next", view="difference").text
    assert f'data-src="/notebooks/dags/{DAG}/runs/{second}/difference.html"' in shown


def test_pages_show_what_lies_on_an_object_store(
    airflow: Any, story: Story, viewer: Mapping[str, str], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", f"s3://{bucket}/team")
    store = open_output()
    keys = {"runs/a/1.ipynb": "before", "runs/a/2.ipynb": "after"}
    runs = [in_task(story, words, artifact=key) for key, words in keys.items()]
    state = f"dags/{DAG}/runs/{runs[1]}/state"
    assert ask(airflow, viewer, state).json()["notebook"] is None
    for key in keys:
        store.write(key, (story.output / key).read_text())
        (story.output / key).unlink()
    shown = ask(airflow, viewer, f"dags/{DAG}/runs/{runs[1]}/notebook.html")
    assert "after" in shown.text
    assert "sandbox" in shown.headers["content-security-policy"]
    difference = ask(airflow, viewer, f"dags/{DAG}/runs/{runs[1]}/difference.html").text
    assert "before" in difference
    assert "after" in difference
    raw = ask(airflow, viewer, f"dags/{DAG}/runs/{runs[1]}/notebook.ipynb")
    assert raw.content == store.read("runs/a/2.ipynb")
    assert task_page(airflow, viewer).status_code == 200
    assert ask(airflow, viewer, state).json()["notebook"] == store.stamp("runs/a/2.ipynb")
    outside = in_task(story, "x", artifact="runs/../../elsewhere.ipynb")
    assert ask(airflow, viewer, f"dags/{DAG}/runs/{outside}/notebook.html").status_code == 404


@on_each
def test_a_page_can_tell_when_to_look_again(airflow: Any, story: Story, viewer: Mapping[str, str]) -> None:
    query = {"dag_run_id": DAG_RUN, "task_id": "load"}

    def state() -> Any:
        return ask(airflow, viewer, f"dags/{DAG}/task/state", **query).json()

    assert state() == {"page": [], "notebook": None, "running": False}
    run_id = in_task(story, "x", status="running", artifact="runs/x.ipynb")
    lock = ledger.hold(story.database, story.output, ledger.get_run(story.database, run_id))
    first = state()
    assert first == {"page": [run_id, run_id, "running"], "notebook": first["notebook"], "running": True}
    path = story.output / "runs/x.ipynb"
    os.utime(path, ns=(1, 1))
    assert state() == {**first, "notebook": f"1/{path.stat().st_size}"}
    lock.release()
    assert state()["page"] == [run_id, run_id, "lost"]
    again = in_task(story, "y", try_number=2)
    assert state()["page"] == [run_id, again, again, "success"]
    assert ask(airflow, viewer, f"dags/{DAG}/runs/{run_id}/state").json()["page"] == [run_id, run_id, "lost"]


@on_each
def test_the_ledger_is_filtered_paged_and_leads_to_tasks(
    airflow: Any, story: Story, viewer: Mapping[str, str]
) -> None:
    by_hand = story.run("data_quality")
    in_task(story, "x", map_index=3, try_number=2)
    for _ in range(50):
        story.run("api_incremental_update", dag_id=DAG, dag_run_id="r", status="failed", error="boom")
    first = ask(airflow, viewer, "runs").text
    second = ask(airflow, viewer, "runs", page=2).text
    task = (
        "/dags/a_dag/runs/manual__2024-03-01T10:00:00+00:00/tasks/load/mapped/3/plugin/notebook?try_number=2"
    )
    assert "52 runs" in first
    assert "page 1 of 2" in first
    assert f'<a data-host href="{task}">bulk_load</a>' in second
    assert f'<a href="/notebooks/dags/manual/runs/{by_hand}">data_quality</a>' in second
    failed = ask(airflow, viewer, "runs", status="failed", notebook="api_incremental_update", days="1").text
    assert "50 runs" in failed
    assert "data_quality</a>" not in failed
    assert "<option selected>failed</option>" in failed
    assert "0 runs" in ask(airflow, viewer, "runs", dataset="none").text
    assert {ask(airflow, viewer, "runs", days=wrong).status_code for wrong in ("x", "--5", "٣")} == {404}
    assert "52 runs" in ask(airflow, viewer, "runs", days="999999").text
    assert ask(airflow, viewer, f"dags/manual/runs/{by_hand}").status_code == 200


@on_each
def test_before_the_first_run_the_pages_say_so(
    airflow: Any,
    each_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    viewer: Mapping[str, str],
) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DATABASE", databases.connection(tmp_path).to_json())
    assert "This task has run no notebook yet" in task_page(airflow, viewer).text
    assert "0 runs" in ask(airflow, viewer, "runs").text
    assert ask(airflow, viewer, f"dags/{DAG}/runs/x").status_code == 404
    assert not (tmp_path / "analytics_database.db").exists()


@on_each
def test_the_ledger_lies_where_airflows_own_connection_says(
    airflow: Any, story: Story, monkeypatch: pytest.MonkeyPatch, viewer: Mapping[str, str]
) -> None:
    from airflow import settings
    from airflow.models.connection import Connection

    in_task(story, "x")
    monkeypatch.delenv("AIRFLOW_CONN_ANALYTICS_DATABASE")
    # What lies in the output folder would be found without any connection.
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(story.output / "elsewhere"))
    # As the module does that serves Airflow's application.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    parts = {name: getattr(story.connection, name) for name in ("conn_type", "host", "login", "schema")}
    kept = Connection(conn_id="analytics_database", **parts)
    assert settings.Session
    with settings.Session() as session:
        session.add(kept)
        session.commit()
        try:
            assert "1 run," in ask(airflow, viewer, "runs").text
        finally:
            session.delete(kept)
            session.commit()
