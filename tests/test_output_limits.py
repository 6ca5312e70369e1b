"""What is kept of the output is bounded, and what was left out is said in the cell."""

import json
from pathlib import Path

import pytest
import tiny
from executed import execute

from notebook_pipeline.connections import Connection
from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.output_limits import MEGABYTE, OutputBudget, OutputLimits, output_limits


def test_a_budget_keeps_what_fits_the_cell_and_the_run_and_counts_the_rest() -> None:
    budget = OutputBudget(OutputLimits(cell=10, run=15, result=1))
    assert (budget.take(8), budget.take(3), budget.left, budget.note() is None) == (True, False, 2, False)
    budget.begin_cell()
    assert (budget.left, budget.note()) == (7, None)
    assert (budget.take(7), budget.left) == (True, 0)
    budget.clear()
    assert budget.left == 7


def test_the_note_names_size_number_and_setting() -> None:
    budget = OutputBudget(OutputLimits(cell=MEGABYTE, run=10 * MEGABYTE, result=1))
    budget.take(3 * MEGABYTE // 2)
    assert budget.note() == (
        "[left out: 1.5 MB of output in 1 pieces; a cell keeps at most 1 MB, see "
        "NOTEBOOK_PIPELINE_CELL_OUTPUT_MB]\n"
    )


def test_limits_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert output_limits() == OutputLimits(10 * MEGABYTE, 100 * MEGABYTE, MEGABYTE // 4)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_CELL_OUTPUT_MB", "0.5")
    assert output_limits().cell == MEGABYTE // 2
    monkeypatch.setenv("NOTEBOOK_PIPELINE_SAVE_SECONDS", "0")
    assert output_limits().save_seconds == 0
    for wrong in ("much", "-1", "nan", "1e9"):
        monkeypatch.setenv("NOTEBOOK_PIPELINE_CELL_OUTPUT_MB", wrong)
        with pytest.raises(UsageError, match=f"CELL_OUTPUT_MB is '{wrong}'; expected a number of MB"):
            output_limits()


@pytest.fixture
def small(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep little of the output."""
    monkeypatch.setenv("NOTEBOOK_PIPELINE_CELL_OUTPUT_MB", "0.01")
    monkeypatch.setenv("NOTEBOOK_PIPELINE_RUN_OUTPUT_MB", "0.02")


FLOODS = {
    "prints": "for n in range(10_000): print(n, 'x' * 100)",
    "prints at once": "print('x' * 1_000_000)",
    "displays": "for n in range(1_000): display({'text/plain': 'x' * 1_000}, raw=True)",
    "shows": "display('x' * 1_000_000)",
    "updates": "shown = display({'text/plain': ''}, raw=True, display_id=True)\n"
    "for n in range(9): shown.update({'text/plain': 'x' * 1_000_000}, raw=True)",
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_is_cut_said_and_costs_neither_result_nor_status(home: Path, flood: str) -> None:
    run = execute(home, f"{FLOODS[flood]}\n{tiny.says(rows=3)}", "print('next')")
    assert (run.finished.status, run.finished.result) == ("success", {"rows": 3})
    assert len(json.dumps(run.notebook)) < 40_000
    outputs = run.notebook["cells"][0]["outputs"]
    assert "[left out: " in "".join(outputs[-1]["text"])
    assert len("\n".join(run.lines)) < 40_000
    assert run.printed.endswith("next\n")


@pytest.mark.usefixtures("small")
def test_a_run_has_a_limit_of_its_own(home: Path) -> None:
    run = execute(home, *["print('x' * 9_000)"] * 4)
    kept = [len("".join(cell["outputs"][0]["text"])) for cell in run.notebook["cells"][:3]]
    assert kept[:2] == [9_001, 9_001]
    assert kept[2] < 9_000
    assert "a run keeps at most 0.02 MB" in run.printed


def test_the_message_of_an_exception_is_cut(home: Path) -> None:
    run = execute(home, "raise ValueError('x' * 20_000_000)")
    assert run.finished.status == "failed"
    assert str(run.finished.error).startswith("ValueError: xxx")
    assert len(json.dumps(run.notebook)) < 500_000
    assert len("\n".join(run.lines)) < 500_000


def test_a_result_is_small_or_fails_the_run(home: Path) -> None:
    large = tiny.says(all="").replace("''", "'x' * 5_000_000")
    run = execute(home, tiny.says(rows=3), large)
    assert run.finished.status == "failed"
    assert str(run.finished.error).startswith("the notebook's result has 4.8 MB; expected at most 0.25 MB")
    assert len(json.dumps(run.notebook)) < 50_000


def test_a_cell_that_prints_in_many_small_pieces_keeps_them_all(home: Path) -> None:
    run = execute(home, "for n in range(5_000): print(n, flush=True)")
    assert run.printed == "".join(f"{n}\n" for n in range(5_000))


def test_the_cut_of_a_message_leaves_no_half_of_a_secret(home: Path) -> None:
    secret = "s3cret-Passw0rd"
    api = {"api": Connection("api", "http", host="h", password=secret)}
    run = execute(
        home,
        tiny.parameters('api_conn_id: str = "api"'),
        "import json, os\nsecret = json.loads(os.environ['AIRFLOW_CONN_API'])['password']\n"
        "raise ValueError('x' * 19_990 + secret)",
        connections=api,
    )
    assert run.finished.status == "failed"
    assert secret[:10] not in json.dumps(run.notebook)
    assert secret[:10] not in "\n".join(run.lines)
