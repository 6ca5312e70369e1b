"""What an executed notebook says of its run is true, whatever ended it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from notebook_pipeline.running.artefact_metadata import LastWord, close, headings, without_banner

ENDED = datetime(2026, 11, 22, 12, 0, 3, tzinfo=UTC)
STARTED = "2026-11-22T12:00:00+00:00"


def code(name: str, status: str = "pending", source: str = "x = 1") -> dict[str, Any]:
    state = {"status": status, "exception": None}
    return {
        "cell_type": "code",
        "id": name,
        "source": source,
        "metadata": {"papermill": state},
        "outputs": [],
    }


def text(source: str, status: str = "pending") -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "id": f"t{len(source)}",
        "source": source,
        "metadata": {"papermill": {"status": status}},
    }


def book(*cells: dict[str, Any]) -> dict[str, Any]:
    return {
        "cells": list(cells),
        "metadata": {"papermill": {"start_time": STARTED}, "notebook_pipeline": {"run_id": "r1"}},
    }


def states(notebook: dict[str, Any]) -> dict[str, str]:
    return {
        c["id"]: c["metadata"]["papermill"]["status"]
        for c in notebook["cells"]
        if "papermill" in c["metadata"]
    }


def banner(notebook: dict[str, Any]) -> str:
    assert notebook["cells"][0]["metadata"]["tags"] == ["notebook-pipeline-banner"]
    return "".join(notebook["cells"][0]["source"])


def test_success_completes_every_cell_and_writes_no_banner() -> None:
    notebook = book(code("a", "completed"), text("# end"))
    close(notebook, LastWord("success", ended=ENDED, about={"rows": {"rows_read": 1}}))
    assert states(notebook) == {"a": "completed", "t5": "completed"}
    assert notebook["metadata"] == {
        "papermill": {
            "start_time": STARTED,
            "end_time": ENDED.isoformat(),
            "duration": 3.0,
            "exception": None,
        },
        "notebook_pipeline": {"run_id": "r1", "rows": {"rows_read": 1}, "status": "success", "error": None},
    }


@pytest.mark.parametrize("guilty", ["failed", "running"])
def test_failure_names_the_guilty_cell_and_what_was_not_run(guilty: str) -> None:
    notebook = book(
        code("a", "completed"), text("## Merge the *rows*"), code("b", guilty), text("# after"), code("c")
    )
    notebook["cells"][2]["execution_count"] = 7
    close(notebook, LastWord("failed", "ValueError: no\n# not a heading", ENDED))
    assert states(notebook) == {
        "a": "completed",
        "t19": "not run",
        "b": "failed",
        "t7": "not run",
        "c": "not run",
    }
    assert notebook["metadata"]["notebook_pipeline"] == {
        "run_id": "r1",
        "status": "failed",
        "error": "ValueError: no\n# not a heading",
        "failed_cell": "b",
    }
    assert notebook["metadata"]["papermill"]["exception"] is True
    assert banner(notebook) == (
        "**This run failed** at 2026-11-22 12:00:03 UTC, in the cell “Merge the \\*rows\\*” (In [7]).\n\n"
        "    ValueError: no\n    # not a heading\n\n"
        "Cells before it are completed, cells after it were not run."
    )


@pytest.mark.parametrize(
    ("statuses", "place"),
    [
        (["pending", "pending"], "before its first cell"),
        (["completed", "pending"], "between two cells"),
        (["completed", "completed"], "after its last cell"),
    ],
)
def test_a_run_that_ended_outside_of_any_cell_says_where(statuses: list[str], place: str) -> None:
    notebook = book(*(code(str(index), status) for index, status in enumerate(statuses)))
    close(notebook, LastWord("failed", "process lost", ENDED))
    assert f"UTC, {place}." in banner(notebook)
    assert notebook["metadata"]["notebook_pipeline"]["failed_cell"] is None


def test_the_banner_of_an_earlier_run_goes() -> None:
    notebook = book(code("a", "failed"))
    close(notebook, LastWord("failed", "x", ENDED))
    assert [cell["id"] for cell in without_banner(notebook)["cells"]] == ["a"]


def test_a_cell_is_titled_by_the_text_before_it_or_by_its_first_line() -> None:
    parameters = code("p", source="a: int = 1")
    parameters["metadata"]["tags"] = ["parameters"]
    given = code("g", source="a = 2")
    given["metadata"]["tags"] = ["injected-parameters"]
    cells = [
        parameters,
        given,
        text("# Title\n\nReads this."),
        text("Read the **file**.\nMore."),
        code("a"),
        code("b", source=["\n", "merge(rows)\n", "show()"]),  # type: ignore[arg-type]
        text(["## Check\n", "Why."]),  # type: ignore[arg-type]
        code("empty", source=""),
        code("c"),
        text("Plot " + "very " * 20 + "much."),
    ]
    assert list(headings(book(*cells))) == [
        "Parameters",
        "Given parameters",
        "Title",
        "Read the **file**",
        "Read the **file**",
        "merge(rows)",
        "Check",
        "Check",
        "Check",
        "Plot " + "very " * 14 + "very…",
    ]
