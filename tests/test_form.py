"""What the form of a DAG takes, for each kind of parameter."""

from pathlib import Path
from typing import Any

import pytest
import tiny
from airflow.sdk.exceptions import ParamValidationError

from notebook_pipeline.airflow import notebook_params
from notebook_pipeline.errors import UsageError

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


def test_a_preset_changes_a_default_and_nothing_else(params: Any) -> None:
    preset: Any = notebook_params("a_notebook", table="team", since="2024-09-01", share=2, place="x")
    assert list(preset) == list(params)
    assert [preset[name] for name in preset] == ["team", "2024-09-01", 5, 2.0, False, "x"]
    for name in params:
        field, original = preset.get_param(name), params.get_param(name)
        assert (field.schema, field.description) == (original.schema, original.description)
    assert preset.get_param("since").resolve(None) is None


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ({"tabel": "team"}, "unknown parameter tabel; this notebook has table: str, "),
        ({"pages": "5"}, "parameter pages is '5' \\(str\\); expected int"),
    ],
)
def test_a_preset_that_the_notebook_does_not_take_is_refused(
    params: Any, preset: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        notebook_params("a_notebook", **preset)


def test_a_required_value_has_to_be_given(params: Any) -> None:
    with pytest.raises(ParamValidationError):
        params.validate()
