"""What the form of a DAG takes, for each kind of parameter."""

from pathlib import Path
from typing import Any

import pytest
import tiny
from airflow.sdk.exceptions import ParamValidationError

from notebook_pipeline.airflow import notebook_params

CELL = """\
table: str = "player"  # table to load
since: str = ""  # first day
pages: int = 5
share: float = 1.0
force: bool = False
place: str  # has to be given
"""


@pytest.fixture
def params(home: Path) -> Any:
    tiny.write(home / "notebooks" / "a_notebook.ipynb", tiny.parameters(CELL))
    return notebook_params("a_notebook")


def test_fields_come_in_the_notebooks_order_with_its_defaults_and_help(params: Any) -> None:
    assert list(params) == ["table", "since", "pages", "share", "force", "place"]
    assert params.get_param("table").description == "table to load"
    assert [params[name] for name in list(params)[:-1]] == ["player", "", 5, 1.0, False]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("table", "team"),
        ("since", None),
        ("since", "2024-09-01"),
        ("share", 2),
        ("force", True),
        ("place", "x"),
    ],
)
def test_what_fits_is_taken(params: Any, name: str, value: Any) -> None:
    assert params.get_param(name).resolve(value) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("table", ""), ("table", None), ("pages", "5"), ("pages", 1.5), ("force", "true"), ("place", "")],
)
def test_what_does_not_fit_is_refused(params: Any, name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        params.get_param(name).resolve(value)


def test_a_required_value_has_to_be_given(params: Any) -> None:
    with pytest.raises(ParamValidationError):
        params.validate()
