"""The command that shows what is declared."""

import json
from pathlib import Path

import pytest

from notebook_pipeline.commands.main import main

PLAYERS = "player_id last_changed_date repository_raw_url sportsworldcentral_url: v0/players/"


@pytest.fixture
def bad(home: Path) -> Path:
    path = home / "datasets" / "bad.py"
    path.write_text("x = 1 / 0\n")
    return path


def test_datasets_are_listed_with_what_cannot_be_used(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["dataset", "columns", "key", "cursor", "files", "api"],
        ["player", "6", *PLAYERS.split()],
        [],
        ["cannot", "be", "used"],
        ["bad", f"{bad},", "line", "1:", "ZeroDivisionError:", "division", "by", "zero"],
    ]
    assert main(["datasets", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [dataset["name"] for dataset in found["datasets"]] == ["player"]
    assert found["problems"] == {"bad": f"{bad}, line 1: ZeroDivisionError: division by zero"}


def test_one_dataset_is_shown_in_full(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "player"]) == 0
    out = capsys.readouterr().out
    for said in (
        "sportsworldcentral_url: v0/players/",
        "minimum_last_changed_date",
        "player_count of v0/counts/",
        "the source's id of the player",
        "Range(column='player_id', low=0, high=None)",
        "player_id is unique",
    ):
        assert said in out
    assert main(["datasets", "player", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["columns"][1] == {
        "name": "gsis_id",
        "type": "string",
        "nullable": True,
        "at": "",
        "format": "",
        "zone": "",
        "doc": "the id in play-by-play statistics; a team's defence has none",
    }
    assert found["api"]["total"] == {
        "at": "player_count",
        "endpoint": "v0/counts/",
        "of": "everything",
    }


def test_keys_types_and_places_are_shown_as_they_are_declared(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "datasets" / "sale.py").write_text(
        "import pyarrow as pa\nfrom notebook_pipeline.declare import Column, Dataset\n"
        "SALE = Dataset('sale', [Column('shop', pa.string(), nullable=False),\n"
        "  Column('no', pa.int64(), nullable=False, at={'files': 'Sale No', 'api': ('sale', 'no')}),\n"
        "  Column('at', pa.timestamp('us'), format='epoch'), Column('items', pa.json_())], ('shop', 'no'))"
    )
    assert main(["datasets", "sale"]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:4] == ["sale", "key     shop, no", "cursor  -", "files   repository_raw_url"]
    assert [line.split(maxsplit=2) for line in lines[-4:]] == [
        ["shop", "string"],
        ["no", "int64", "at files: Sale No, api: sale.no"],
        ["at", "timestamp[us]", "may be missing  format epoch"],
        ["items", "json", "may be missing"],
    ]
    assert main(["datasets"]) == 0
    assert ["sale", "4", "shop,", "no", "-", "repository_raw_url", "-"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]


def test_what_differs_from_the_usual_is_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "datasets" / "player.py").unlink()
    (home / "datasets" / "line.py").write_text(
        "import pyarrow as pa\n"
        "from notebook_pipeline.declare import Column, Dataset, Files\n"
        "LINE = Dataset('line', (\n"
        "    Column('order', pa.int64(), False, at={'files': 'Order Id', 'api': ('order', 'id')}),\n"
        "    Column('number', pa.int64(), False),\n"
        "    Column('day', pa.date32(), format='%d.%m.%Y', zone='Europe/Berlin'),\n"
        "), ('order', 'number'), files=Files(delimiter=';'))\n"
    )
    assert main(["datasets"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["line", "3", "order,", "number", "-", "repository_raw_url", "-"]
    assert main(["datasets", "line"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["line"],
        ["key", "order,", "number"],
        ["cursor", "-"],
        ["files", "repository_raw_url,", "delimiter=';'"],
        [],
        ["columns"],
        ["column", "type"],
        ["order", "int64", "at", "files:", "Order", "Id,", "api:", "order.id"],
        ["number", "int64"],
        ["day", "date32[day]", "may", "be", "missing", "format", "%d.%m.%Y,", "zone", "Europe/Berlin"],
    ]


def test_nothing_declared_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "datasets" / "player.py").unlink()
    assert main(["datasets"]) == 0
    assert capsys.readouterr().out == f"{home / 'datasets'} declares no dataset\n"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("bad", "bad.py, line 1: ZeroDivisionError"), ("none", "unknown dataset 'none'; dec")],
)
def test_a_dataset_that_cannot_be_used_is_wrong_usage(
    bad: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    assert main(["datasets", name]) == 2
    assert reason in capsys.readouterr().err
