"""Where things are and which day it is."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from notebook_pipeline import settings
from notebook_pipeline.errors import UsageError


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "OUTPUT", "TODAY"):
        monkeypatch.delenv(f"NOTEBOOK_PIPELINE_{name}", raising=False)


def test_a_checkout_needs_no_variable() -> None:
    root = Path(__file__).resolve().parent.parent
    assert settings.home() == root
    assert settings.notebooks() == root / "notebooks"
    assert settings.data() == root / "data"
    assert settings.output() == root / "output"
    assert settings.database() == root / "output" / "analytics_database.db"


def test_the_output_folder_takes_the_database_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path))
    assert settings.database() == tmp_path / "analytics_database.db"


def test_a_relative_output_folder_is_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", "out")
    assert (settings.notebooks(), settings.output()) == (tmp_path / "notebooks", tmp_path / "out")


def test_an_object_store_leaves_the_local_folder_where_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_HOME", str(tmp_path))
    assert settings.output_url() is None
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", "s3://bucket/team")
    assert (settings.output_url(), settings.output()) == ("s3://bucket/team", tmp_path / "output")


def test_today_is_a_day_in_utc_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    before = datetime.now(UTC).date()
    assert before <= settings.today() <= datetime.now(UTC).date()
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2024-02-29")
    assert settings.today() == date(2024, 2, 29)


@pytest.mark.parametrize("day", ["2024-02-30", "yesterday"])
def test_a_day_that_is_none_is_refused(day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", day)
    with pytest.raises(UsageError, match=day):
        settings.today()


@pytest.mark.parametrize(("name", "ask"), [("HOME", settings.home), ("OUTPUT", settings.output)])
def test_a_home_that_nobody_has_is_refused(
    name: str, ask: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"NOTEBOOK_PIPELINE_{name}", "~nobody-at-all/x")
    with pytest.raises(UsageError, match="~nobody-at-all/x: the home folder is unknown"):
        ask()
