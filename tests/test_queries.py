"""The review's questions to the ledger."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import databases
import pytest
from databases import on_each
from story import ADA, API, BO, Story, code

from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.outputs.folder import Folder
from notebook_pipeline.review import queries
from notebook_pipeline.review.artefact_reader import read_artefact, read_notebook
from notebook_pipeline.review.dataset_status import read_dataset_status
from notebook_pipeline.review.trace import trace_row
from notebook_pipeline.sources.files.file_source import BULK as KIND_BULK
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect

pytestmark = pytest.mark.only("sqlite")


@pytest.fixture
def story(each_database: str, tmp_path: Path) -> Iterator[Story]:
    told = Story(tmp_path)
    yield told
    told.close()


def ids(runs: list[dict]) -> list[str]:
    return [run["run_id"] for run in runs]


@on_each
def test_runs_are_listed_newest_first_and_paged(story: Story) -> None:
    made = [story.run() for _ in range(5)]
    with queries.open_ledger(story.connection) as database:
        assert ids(queries.list_runs(database)) == made[::-1]
        assert ids(queries.list_runs(database, limit=2, offset=1)) == [made[3], made[2]]
        assert queries.count_runs(database) == 5


@on_each
def test_filters_narrow_the_list_one_by_one_and_together(story: Story) -> None:
    loaded = story.run("bulk_load", dag_id="a")
    failed = story.run("bulk_load", dag_id="b", status="failed", error="boom")
    other = story.run("data_quality", parameters={"dataset": "team"})
    story.database.execute(
        "UPDATE pipeline_run SET started_at = ? WHERE run_id = ?",
        [(datetime.now(UTC) - timedelta(days=3)).isoformat(), loaded],
    )
    expected = {
        queries.Filters(notebook="bulk_load"): [failed, loaded],
        queries.Filters(dataset="team"): [other],
        queries.Filters(status="failed"): [failed],
        queries.Filters(days=2): [other, failed],
        queries.Filters(days=1e9): [other, failed, loaded],
        queries.Filters(dag_ids=frozenset({"a", "manual"})): [other, loaded],
        queries.Filters(dag_ids=frozenset()): [],
        queries.Filters(notebook="bulk_load", status="success", days=4): [loaded],
    }
    found = {filters: ids(queries.list_runs(story.database, filters)) for filters in expected}
    assert found == expected
    assert {filters: queries.count_runs(story.database, filters) for filters in expected} == {
        filters: len(those) for filters, those in expected.items()
    }


@on_each
def test_a_text_is_read_as_text_though_a_thousand_runs_before_it_have_none(story: Story) -> None:
    story.database.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
        "INSERT INTO pipeline_run (run_id, dag_id, dag_run_id, task_id, map_index, try_number, notebook, "
        "notebook_sha256, parameters, status, started_at) "
        "SELECT 'z' || i, 'a', 'a', 'a', -1, 1, 'a', '', '{}', 'running', '2024-01-01' FROM n"
    )
    oldest = story.run(status="failed", error="boom")
    runs = queries.list_runs(story.database)
    assert (len(runs), runs[-1]["run_id"], runs[-1]["error"]) == (1501, oldest, "boom")


@on_each
def test_a_run_is_found_by_its_id_its_beginning_or_its_end(story: Story) -> None:
    first, second = story.run(), story.run()
    assert queries.find_run(story.database, first)["run_id"] == first
    assert queries.find_run(story.database, second[:22])["run_id"] == second
    assert queries.find_run(story.database, "000002")["run_id"] == second


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "240301-",
            "matches several runs: 240301-00000200000002, 240301-00000100000001; give more",
        ),
        ("nothing", "no run 'nothing' in "),
        ("%", "no run '%' in "),
        ("", "no run '' in "),
    ],
)
def test_a_name_that_is_no_runs_or_several_is_refused(story: Story, name: str, reason: str) -> None:
    story.run()
    story.run()
    with pytest.raises(UsageError, match=reason):
        queries.find_run(story.database, name)


@on_each
def test_the_run_before_is_the_last_one_that_is_alike(story: Story) -> None:
    mapped = [story.run(dag_id="d", task_id="t", map_index=index) for index in (0, 1, 0, 1)]
    other = story.run("data_quality", dag_id="d")
    last = queries.find_run(story.database, mapped[3])
    before = queries.previous_run(story.database, last)
    same_task = queries.previous_run(story.database, last, queries.SAME_TASK)
    assert before is not None
    assert same_task is not None
    assert (before["run_id"], same_task["run_id"]) == (mapped[2], mapped[1])
    assert queries.previous_run(story.database, queries.find_run(story.database, other)) is None


@on_each
def test_the_last_two_runs_are_of_the_last_notebook_that_ran_twice(story: Story) -> None:
    made = [story.run("bulk_load"), story.run("bulk_load"), story.run("data_quality")]
    assert [run["run_id"] for run in queries.last_two_runs(story.database)] == made[:2]


def test_nothing_to_compare_is_said(story: Story) -> None:
    story.run()
    with pytest.raises(UsageError, match="no notebook has run twice yet"):
        queries.last_two_runs(story.database)


def test_a_missing_database_is_named_and_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    with (
        pytest.raises(UsageError, match=r"none\.db: no database yet; run a notebook first"),
        queries.open_ledger(Connection("x", "sqlite", host=str(missing))),
    ):
        pass
    assert not missing.exists()


@on_each
def test_a_database_without_a_ledger_is_named(each_database: str, tmp_path: Path) -> None:
    empty = databases.connection(tmp_path)
    connect(empty).close()
    with (
        pytest.raises(UsageError, match=r": no table pipeline_run yet; run a notebook first"),
        queries.open_ledger(empty),
    ):
        pass


@on_each
def test_the_ledger_is_opened_for_reading_only(story: Story) -> None:
    with (
        queries.open_ledger(story.connection) as database,
        pytest.raises(PipelineError, match=r"readonly|read-only"),
    ):
        database.execute("DELETE FROM pipeline_run")


@on_each
def test_a_row_leads_to_the_run_that_last_changed_it(story: Story) -> None:
    story.run(rows=[ADA, BO])
    changed = story.run("api_incremental_update", rows=[{**BO, "position": "WR"}], origin=API)
    trace = trace_row(story.database, "player", "2")
    assert trace is not None
    assert trace.run is not None
    assert trace.row == {**BO, "position": "WR", "_run_id": changed, "_source": "api"}
    assert (trace.run["run_id"], trace.confirmed_by, trace.extracted_by) == (changed, None, None)


@on_each
def test_an_identical_row_from_the_api_confirms_the_bulk_run(story: Story) -> None:
    loaded = story.run(rows=[ADA])
    story.run("api_incremental_update", rows=[ADA], origin=API)
    trace = trace_row(story.database, "player", "1")
    assert trace is not None
    assert trace.run is not None
    assert (trace.run["run_id"], trace.confirmed_by) == (loaded, "api")


@on_each
def test_a_deleted_row_leads_to_the_run_that_deleted_it(story: Story) -> None:
    story.run(rows=[ADA])
    swept = story.run("api_incremental_update")
    story.database.execute("INSERT INTO deleted_row VALUES ('player', '7', '2024-01-01', ?)", [swept])
    trace = trace_row(story.database, "player", "007")
    assert trace is not None
    assert trace.run is not None
    assert (trace.row, trace.run["run_id"], trace.to_json()["deleted"]) == (None, swept, True)


@on_each
def test_a_replayed_row_names_the_run_that_first_read_it(story: Story) -> None:
    first = story.run(rows=[ADA])
    second = story.run(
        rows=[BO], origin=Origin(KIND_BULK, place=first, is_replay=True, moves_watermark=False)
    )
    read, replayed = (trace_row(story.database, "player", key) for key in ("1", "2"))
    assert read is not None
    assert replayed is not None
    assert replayed.run is not None
    assert (replayed.run["run_id"], replayed.extracted_by, read.extracted_by) == (second, first, None)


@on_each
def test_a_row_that_never_was_has_no_trace(story: Story) -> None:
    assert trace_row(story.database, "player", "9") is None


def test_a_dataset_that_was_never_loaded_has_no_trace(story: Story) -> None:
    story.database.execute("DROP TABLE player")
    assert trace_row(story.database, "player", "9") is None


@pytest.mark.parametrize(
    ("table", "key", "reason"),
    [
        ("player", "x", "player.player_id must be a whole number, got 'x'"),
        ("pipeline_run", "1", "unknown dataset"),
    ],
)
def test_a_key_or_table_that_cannot_be_is_refused(story: Story, table: str, key: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        trace_row(story.database, table, key)


@pytest.mark.parametrize(
    "named",
    [
        "../outside.ipynb",
        "runs/../../outside.ipynb",
        "/etc/passwd",
        "runs/secret.txt",
        "runs/link.ipynb",
        "analytics_database.db",
    ],
)
def test_only_notebooks_below_runs_are_read(story: Story, named: str) -> None:
    story.write_artefact("../outside.ipynb", [code("1")], {})
    (story.output / "runs").mkdir()
    (story.output / "runs/secret.txt").write_text("{}")
    (story.output / "runs/link.ipynb").symlink_to(story.output.parent / "outside.ipynb")
    run = queries.find_run(story.database, story.run(artifact=named))
    with pytest.raises(PipelineError, match="is not a notebook below"):
        read_artefact(Folder(story.output), run)


def test_an_artefact_that_is_gone_is_none(story: Story) -> None:
    run = queries.find_run(story.database, story.run(cells=[code("1 + 1")]))
    output = Folder(story.output)
    notebook = read_notebook(output, run)
    assert notebook is not None
    assert notebook["cells"][0]["source"] == "1 + 1"
    (story.output / run["artifact"]).unlink()
    for gone in (run, {**run, "artifact": None}, {**run, "artifact": "runs/a\0.ipynb"}):
        assert read_notebook(output, gone) is None
        assert read_artefact(output, gone) is None


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"cells": 3}'])
def test_a_file_that_is_no_notebook_is_named(story: Story, content: str) -> None:
    run = queries.find_run(story.database, story.run(artifact="runs/broken.ipynb", cells=[code("1")]))
    (story.output / "runs/broken.ipynb").write_text(content)
    with pytest.raises(PipelineError, match=r"runs/broken\.ipynb: cannot be read as a notebook"):
        read_notebook(Folder(story.output), run)


def test_the_count_of_the_source_is_shown_in_words(story: Story) -> None:
    run = story.run("api_incremental_update")
    counted = {"check_name": ledger.SOURCE_COUNT, "severity": "warn", "passed": False}
    ledger.save_results(
        story.database, run, "player", [{**counted, "measured": 1, "expected": 20037, "sample": None}]
    )
    [found] = queries.read_checks(story.database, run)
    [shown] = read_dataset_status(story.database, "player", queries.list_runs(story.database)).checks
    [stored] = queries.stored_checks(story.database, run)
    assert (stored["check_name"], stored["measured"], stored["expected"]) == (
        ledger.SOURCE_COUNT,
        "1",
        "20037",
    )
    words = ("as many rows as the source, after an update", "1 row", "20,037 rows")
    assert (found["check_name"], found["measured"], found["expected"]) == words
    assert (shown.name, shown.results[-1]["measured"], shown.results[-1]["expected"]) == words
