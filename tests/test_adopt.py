"""The command `adopt`, on a file that another program made."""

import json
from pathlib import Path

import pytest
from test_adoption import INSERT, TABLE

from notebook_pipeline.commands.main import main
from notebook_pipeline.connections import DATABASE, resolve
from notebook_pipeline.storage.connect import connect


@pytest.fixture
def database(home: Path) -> Path:
    """Return the path of a database that holds one foreign table and nothing else."""
    with connect(resolve(DATABASE)) as opened:
        opened.execute(TABLE)
        opened.execute(INSERT.format(day="2024-01-01"), [1, "a"])
    return home / "output" / "analytics_database.db"


def relations() -> set[str]:
    with connect(resolve(DATABASE), read_only=True) as opened:
        return {name for name in opened.relations() if not name.startswith("sqlite_")}


def test_without_yes_it_tells_and_writes_nothing(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = database.read_bytes()
    assert main(["adopt", "player"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "table player has 1 rows; adopting it would run, in one transaction:",
        '  ALTER TABLE "player" ADD COLUMN "_run_id" TEXT',
        '  ALTER TABLE "player" ADD COLUMN "_source" TEXT',
        "nothing was written; add --yes to do it",
    ]
    assert database.read_bytes() == before


def test_with_yes_it_does_it_once(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", "player", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "adopted": True,
        "rows": 1,
        "statements": [
            'ALTER TABLE "player" ADD COLUMN "_run_id" TEXT',
            'ALTER TABLE "player" ADD COLUMN "_source" TEXT',
        ],
        "obstacles": [],
    }
    assert relations() == {"player"}
    assert main(["adopt", "player", "--yes"]) == 2
    assert "player is adopted already" in capsys.readouterr().err


def test_what_stands_in_the_way_is_told(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with connect(resolve(DATABASE)) as opened:
        opened.execute("UPDATE player SET last_changed_date = '1.2.2024'")
    assert main(["adopt", "player"]) == 1
    assert "such as '1.2.2024'" in capsys.readouterr().out
    assert main(["adopt", "player", "--yes"]) == 2
    assert "such as '1.2.2024'. Nothing was written" in capsys.readouterr().err


def test_a_table_that_is_not_declared_is_refused(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", "nothing"]) == 2
    assert "unknown dataset 'nothing'" in capsys.readouterr().err
