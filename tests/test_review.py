"""The review on the command line."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import databases
import pytest
from databases import on_each
from rich.console import Console
from story import ADA, API, BO, Story, code, printed

from notebook_pipeline.commands import terminal_tables
from notebook_pipeline.commands.main import main
from notebook_pipeline.review.queries import list_runs
from notebook_pipeline.storage.connect import connect

pytestmark = pytest.mark.only("sqlite")

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def story(each_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path))
    told = Story(tmp_path)
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DATABASE", told.connection.to_json())
    yield told
    told.close()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


@on_each
def test_runs_prints_a_line_a_run_and_what_is_not_shown(story: Story, call: Call) -> None:
    story.run(rows=[ADA, BO])
    story.run("data_quality", status="failed", error="boom")
    exit_code, out, _ = call("runs", "--limit", "1")
    header, line, rest = words(out)
    assert exit_code == 0
    columns = "read inserted updated unchanged stale rejected deleted"
    assert header == f"run started notebook dataset status {columns} seconds artefact".split()
    assert [line[0], *line[3:13]] == [
        "000002",
        "data_quality",
        "player",
        "failed",
        "—",
        "—",
        "—",
        "—",
        "—",
        "—",
        "—",
    ]
    assert rest[:4] == ["1", "of", "2", "runs;"]


@on_each
def test_runs_filters_and_speaks_json(story: Story, call: Call) -> None:
    loaded = story.run(rows=[ADA, BO])
    story.run("data_quality")
    story.run(status="failed", error="boom")
    exit_code, out, _ = call("runs", "--notebook", "bulk_load", "--status", "success", "--json")
    [run] = json.loads(out)
    picked = {name: run[name] for name in ("run_id", "status", "rows_inserted", "parameters", "artifact")}
    assert exit_code == 0
    assert picked == {
        "run_id": loaded,
        "status": "success",
        "rows_inserted": 2,
        "parameters": {"dataset": "player", "source": "players.csv"},
        "artifact": str(story.output / f"runs/manual/{loaded}/{loaded}.ipynb"),
    }
    assert run["seconds"] >= 0


@on_each
def test_a_running_row_whose_process_is_gone_is_shown_as_lost(story: Story, call: Call) -> None:
    story.run(status="running", cells=[])
    _, out, _ = call("runs")
    assert "lost" in words(out)[1]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_runs_fit_the_terminal(
    story: Story, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    for _ in range(3):
        story.run("api_incremental_update", rows=[ADA, BO], origin=API)
    monkeypatch.setattr(terminal_tables, "open_console", lambda: Console(width=width))
    terminal_tables.print_runs(list_runs(story.database), 3)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert width < 60 or len(lines) == 4
    assert ("inserted" in lines[0]) == (width >= 80)


@on_each
def test_show_prints_counts_checks_rejected_rows_and_the_cause(story: Story, call: Call) -> None:
    run_id = story.run(rows=[ADA], status="failed", error="PipelineError: the \x1b[2Jdisk is full")
    story.check(run_id, "ids are unique", passed=False, measured="3 rows")
    story.check(run_id, "is fresh", passed=False, severity="warn")
    story.reject(run_id, ("players.csv:7", {"player_id": "x"}, ["player_id is 'x'", "position is missing"]))
    exit_code, out, _ = call("show", "000001")
    lines = words(out)
    assert exit_code == 0
    assert "\x1b" not in out
    assert lines[0] == [run_id, "failed"]
    assert lines[1] == ["PipelineError:", "the", "�[2Jdisk", "is", "full"]
    for expected in (
        ["inserted", "1"],
        ["source", "players.csv"],
        ["ids", "are", "unique", "failed", "3", "rows", "0", "—"],
        ["is", "fresh", "warning", "0", "0", "—"],
        ["players.csv:7", "player_id", "is", "'x';", "position", "is", "missing", '{"player_id":', '"x"}'],
    ):
        assert expected in lines
    assert str(story.output / f"runs/manual/{run_id}/{run_id}.ipynb") in out


@on_each
def test_show_speaks_json(story: Story, call: Call) -> None:
    run_id = story.run()
    story.check(run_id, "ids are unique", passed=True)
    story.reject(run_id, ("p:1", {}, ["bad"]))
    _, out, _ = call("show", run_id, "--json")
    shown = json.loads(out)
    assert shown["checks"] == [
        {
            "check_name": "ids are unique",
            "severity": "error",
            "passed": 1,
            "measured": "0",
            "expected": "0",
            "sample": None,
        }
    ]
    assert shown["rejected"] == [{"position": "p:1", "row": "{}", "reasons": ["bad"]}]


@on_each
def test_diff_compares_the_last_two_runs_of_a_notebook(story: Story, call: Call) -> None:
    story.run(rows=[ADA], cells=[code("load()", printed("1 row"))])
    story.run(rows=[ADA, BO], cells=[code("load()", printed("2 rows"))])
    story.run("data_quality")
    exit_code, out, _ = call("diff")
    assert exit_code == 0
    assert ["rows_read", "1", "→", "2", "(+1)"] in words(out)
    assert out.index("-1 row") < out.index("+2 rows")


def test_diff_says_when_nothing_differs(story: Story, call: Call) -> None:
    before, after = (story.run(cells=[code("x", printed("same"))]) for _ in range(2))
    _, out, _ = call("diff", before, after)
    assert out.splitlines()[-1] == "no difference except times and ids"
    _, out, _ = call("diff", before, after, "--json")
    found: dict[str, Any] = json.loads(out)
    assert (found["before"], found["after"], found["cells"]) == (before, after, [])


@on_each
def test_trace_prints_the_row_and_its_run(story: Story, call: Call) -> None:
    run_id = story.run(rows=[ADA])
    exit_code, out, _ = call("trace", "player", "1")
    lines = words(out)
    assert exit_code == 0
    for expected in (["last_name", "Łopez"], ["run", run_id], ["source", "players.csv"]):
        assert expected in lines
    assert str(story.output / f"runs/manual/{run_id}/{run_id}.ipynb") in out
    _, out, _ = call("trace", "player", "1", "--json")
    assert json.loads(out)["row"] == {**ADA, "_run_id": run_id, "_source": "bulk"}


def test_trace_prints_a_key_as_it_has_to_be_typed(story: Story, call: Call) -> None:
    story.run(rows=[{**ADA, "player_id": 1001}])
    _, out, _ = call("trace", "player", "1001")
    assert ["player_id", "1001"] in words(out)


def test_trace_of_a_row_that_never_was_fails(story: Story, call: Call) -> None:
    assert call("trace", "player", "9") == (1, "player 9: no such row, and no run has deleted one\n", "")
    assert call("trace", "player", "9", "--json")[:2] == (1, "null\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["show", "none"], "no run 'none' in "),
        (["diff", "one"], "give two runs to compare, or none"),
        (["diff"], "no notebook has run twice yet"),
        (["trace", "player", "x"], "player.player_id must be a whole number"),
        (["trace", "nothing", "1"], "unknown dataset 'nothing'"),
        (["runs", "--status", "odd"], "invalid choice: 'odd'"),
    ],
)
def test_wrong_usage_is_explained_and_exits_with_2(
    story: Story, call: Call, arguments: list[str], reason: str
) -> None:
    exit_code, out, err = call(*arguments)
    assert (exit_code, out) == (2, "")
    assert reason in err


@pytest.mark.only("postgres")
def test_a_database_that_cannot_be_reached_is_told_in_one_line(
    each_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    there = databases.connection(tmp_path)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path / "none"))
    for conn, says in (
        (replace(there, host="127.0.0.1", port=1, password="s3cret"), "127.0.0.1:1"),
        (replace(there, schema="nowhere", password="s3cret"), "nowhere"),
    ):
        monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DATABASE", conn.to_json())
        for command in (["runs"], ["show", "x"], ["diff"], ["trace", "player", "1"], ["review"], ["prune"]):
            exit_code, out, err = call(*command)
            assert (exit_code, out) == (1, ""), command
            assert err.count("\n") == 1, command
            assert says in err
            assert "check the connection 'analytics_database', and that the server is running" in err
            assert "s3cret" not in err


@on_each
def test_before_the_first_run_there_is_nothing_to_look_at(
    each_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    empty = databases.connection(tmp_path)
    connect(empty).close()
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DATABASE", empty.to_json())
    for command in (["runs"], ["show", "x"], ["diff"], ["trace", "player", "1"], ["review"]):
        exit_code, out, err = call(*command)
        assert (exit_code, out) == (2, ""), command
        assert "no table pipeline_run yet; run a notebook first" in err
    assert call("prune") == (0, "", "removed 0 executed notebooks\n")


def test_a_missing_database_is_wrong_usage_and_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path / "none"))
    monkeypatch.delenv("AIRFLOW_CONN_ANALYTICS_DATABASE", raising=False)
    exit_code, _, err = call("runs")
    assert exit_code == 2
    assert "no database yet; run a notebook first" in err
    assert not (tmp_path / "none").exists()
