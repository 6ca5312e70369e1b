"""Rows nested in the rows of their parents follow them: a league's teams with their rosters and scores."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import databases
import pyarrow as pa
import pytest
from failing_server import Request, Source, serving
from pyarrow import parquet

from notebook_pipeline.connections import API, DATABASE, variable
from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.source_kind import SourceKind
from notebook_pipeline.errors import DataRefused, UsageError
from notebook_pipeline.running.run_identity import new_run_id
from notebook_pipeline.sources.http.rest import API as KIND_API
from notebook_pipeline.sources.source import Ending
from notebook_pipeline.steps import extract, session
from notebook_pipeline.steps.load import Load
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.connect import connect

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
ANY_NUMBER = Limits(max_rejected_percent=100.0)
TEAM = """
import pyarrow as pa
from notebook_pipeline.declare import Child, Column, Dataset, Files, Rest, Since

TEAM = Dataset(
    "team",
    (
        Column("team_id", pa.int64(), nullable=False),
        Column("team_name", pa.string(), nullable=False),
        Column("last_changed_date", pa.date32(), nullable=False),
    ),
    key="team_id",
    cursor="last_changed_date",
    files=Files("repository_raw_url"),
    api=Rest("v0/teams/", since=Since("minimum_last_changed_date")),
    children=(
        Child(
            "team_player",
            at="players",
            parent={"team_id": "team_id", "last_changed_date": "last_changed_date"},
        ),
        Child("team_week", at="weekly_scores", parent={"team_id": "team_id"}),
    ),
)
"""
TEAM_PLAYER = """
import pyarrow as pa
from notebook_pipeline.declare import Column, Dataset, Files

TEAM_PLAYER = Dataset(
    "team_player",
    (
        Column("team_id", pa.int64(), nullable=False),
        Column("player_id", pa.int64(), nullable=False),
        Column("last_changed_date", pa.date32(), nullable=False),
    ),
    key=KEY,
    cursor="last_changed_date",
    files=Files("repository_raw_url"),
)
"""
TEAM_WEEK = """
import pyarrow as pa
from notebook_pipeline.declare import Column, Dataset

TEAM_WEEK = Dataset(
    "team_week",
    (
        Column("team_id", pa.int64(), nullable=False),
        Column("week_number", pa.string(), nullable=False),
        Column("fantasy_points", pa.float64(), nullable=False),
    ),
    key=("team_id", "week_number"),
)
"""
BOTH = TEAM_PLAYER.replace("KEY", '("team_id", "player_id")')
# A roster in which a player is in one team at a time.
ONE_TEAM = TEAM_PLAYER.replace("KEY", '"player_id"')

Row = dict[str, Any]
Counts = dict[str, int]


def team(key: int, day: str, players: list[int] | None = None, scores: dict[str, float] | None = None) -> Row:
    """Return a team as the API sends it: players have a day of their own, and nothing says their team."""
    row: Row = {"team_id": key, "team_name": f"Team {key}", "last_changed_date": day}
    if players is not None:
        row["players"] = [{"player_id": one, "last_changed_date": "2020-01-01"} for one in players]
    if scores is not None:
        row["weekly_scores"] = [
            {"week_number": week, "fantasy_points": points} for week, points in scores.items()
        ]
    return row


class Teams(Source):
    """Give teams in the place of players."""

    def answer(self, request: Request) -> bytes:
        return super().answer(replace(request, path=request.path.replace("teams", "players")))


@pytest.fixture
def declared(each_database: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Declare teams with their children, in a database of each kind."""
    for name, text in (("team", TEAM), ("team_player", BOTH), ("team_week", TEAM_WEEK)):
        (home / "datasets" / f"{name}.py").write_text(text)
    monkeypatch.setenv(variable(DATABASE), databases.connection(home).to_json())
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2024-03-31")
    (home / "notebooks").rmdir()
    (home / "notebooks").symlink_to(NOTEBOOKS)
    (home / "data").mkdir()
    yield home
    session._leave()


@pytest.fixture
def source(declared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    with serving(Teams([])) as source:
        monkeypatch.setenv(variable(API), source.url)
        yield source


def update(*, full_sweep: bool = False, limits: Limits = ANY_NUMBER) -> tuple[Session, Load]:
    run = session.join_run("api_incremental_update", {"dataset": "team"})
    opened = extract.open_api(run, API, full_sweep=full_sweep, page_size=2)
    return finished(run, opened, limits)


def load(source: str, dataset: str = "team", limits: Limits = ANY_NUMBER) -> tuple[Session, Load]:
    run = session.join_run("bulk_load", {"dataset": dataset})
    return finished(run, extract.open_bulk(run, source, ""), limits)


def finished(run: Session, opened: extract.Extract, limits: Limits) -> tuple[Session, Load]:
    with transaction(run, opened.origin, limits) as merged:
        merged.merge(opened.batches)
        if opened.shows_missing:
            merged.compare_keys(opened.keys, delete=True, max_deleted_percent=100.0)
    run.finish(merged.result())
    return run, merged


def rosters(run: Session) -> list[tuple]:
    return run.database.execute(
        "SELECT team_id, player_id, last_changed_date, _source FROM team_player ORDER BY 1, 2"
    )


def scores(run: Session) -> list[tuple]:
    return run.database.execute(
        "SELECT team_id, week_number, fantasy_points, _source FROM team_week ORDER BY 1, 2"
    )


def children(run: Session) -> list[tuple]:
    """Return the rows of run_child: read, inserted, updated, unchanged, stale, rejected, deleted."""
    return run.database.execute(
        """SELECT dataset, rows_read, rows_inserted, rows_updated, rows_unchanged, rows_stale, rows_rejected,
        rows_deleted FROM run_child WHERE run_id = ? ORDER BY dataset""",
        [run.run_id],
    )


def write(home: Path, name: str, *rows: Row) -> str:
    """Write a file of one object a line."""
    (home / "data" / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return name


def test_a_first_load_an_unseen_change_and_a_sweep(source: Source) -> None:
    source.rows = [
        team(1, "2024-03-01", [11, 12], {"202401": 90.5}),
        team(2, "2024-03-02", [21], {"202401": 80}),
        team(3, "2024-03-03", []),
    ]
    run, merged = update()
    assert rosters(run) == [
        (1, 11, "2024-03-01", "api"),
        (1, 12, "2024-03-01", "api"),
        (2, 21, "2024-03-02", "api"),
    ]
    assert scores(run) == [(1, "202401", 90.5, "api"), (2, "202401", 80.0, "api")]
    assert children(run) == [("team_player", 3, 3, 0, 0, 0, 0, 0), ("team_week", 2, 2, 0, 0, 0, 0, 0)]
    assert merged.result()["children"]["team_week"]["rows_inserted"] == 2  # type: ignore[index]

    # The roster of the first team changes while its day stays: an update does not return the team.
    source.rows[0] = team(1, "2024-03-01", [12, 13], {"202401": 91})
    source.rows[1] = team(2, "2024-03-03", [21, 22])
    run, _ = update()
    assert rosters(run) == [
        (1, 11, "2024-03-01", "api"),
        (1, 12, "2024-03-01", "api"),
        (2, 21, "2024-03-03", "api"),
        (2, 22, "2024-03-03", "api"),
    ]
    assert children(run) == [("team_player", 2, 1, 1, 0, 0, 0, 0), ("team_week", 0, 0, 0, 0, 0, 0, 0)]

    del source.rows[2]
    source.rows.append(team(4, "2024-03-01", [41]))
    run, merged = update(full_sweep=True)
    assert merged.counts()["rows_deleted"] == 1
    assert rosters(run) == [
        (1, 12, "2024-03-01", "api"),
        (1, 13, "2024-03-01", "api"),
        (2, 21, "2024-03-03", "api"),
        (2, 22, "2024-03-03", "api"),
        (4, 41, "2024-03-01", "api"),
    ]
    assert scores(run) == [(1, "202401", 91.0, "api"), (2, "202401", 80.0, "api")]
    assert children(run) == [("team_player", 5, 2, 0, 3, 0, 0, 1), ("team_week", 1, 0, 1, 0, 0, 0, 0)]


def test_a_deleted_team_takes_its_rows_along(source: Source) -> None:
    source.rows = [team(1, "2024-03-01", [11], {"202401": 1}), team(2, "2024-03-01", [21], {"202401": 2})]
    update()
    del source.rows[0]
    run, _ = update(full_sweep=True)
    assert rosters(run) == [(2, 21, "2024-03-01", "api")]
    assert scores(run) == [(2, "202401", 2.0, "api")]
    assert children(run) == [("team_player", 1, 0, 0, 1, 0, 0, 1), ("team_week", 1, 0, 0, 1, 0, 0, 1)]


def test_a_team_marked_as_deleted_takes_its_rows_along(source: Source, declared: Path) -> None:
    marking = TEAM.replace('"v0/teams/", ', '"v0/teams/", deleted_at="gone", ')
    (declared / "datasets" / "team.py").write_text(marking)
    source.rows = [team(1, "2024-03-01", [11], {"202401": 1}), team(2, "2024-03-01", [21])]
    update()
    source.rows = [{"team_id": 1, "last_changed_date": "2024-03-05", "gone": True}]
    run, merged = update()
    assert (merged.counts()["rows_updated"], merged.counts()["rows_deleted"]) == (1, 1)
    assert (rosters(run), scores(run)) == ([(2, 21, "2024-03-01", "api")], [])
    assert children(run) == [("team_player", 0, 0, 0, 0, 0, 0, 1), ("team_week", 0, 0, 0, 0, 0, 0, 1)]
    # A file of the child that knows nothing of this does not bring the rows back.
    own = "team_id,player_id,last_changed_date\n1,11,2024-03-01\n9,91,2024-03-01\n"
    (declared / "data" / "own.csv").write_text(own)
    run, merged = load("own.csv", "team_player")
    assert [row[:2] for row in rosters(run)] == [(2, 21), (9, 91)]
    assert merged.counts()["rows_stale"] == 1


def test_a_column_that_a_child_gains_is_filled_by_reading_everything(source: Source, declared: Path) -> None:
    source.rows = [team(1, "2024-03-01", [11], {"202401": 1}), team(2, "2024-03-09", [], {"202401": 2})]
    update()
    for row in source.rows:
        row["weekly_scores"][0]["rank"] = 4  # type: ignore[index]
    wider = TEAM_WEEK.replace("    ),\n    key", '        Column("rank", pa.int64()),\n    ),\n    key')
    (declared / "datasets" / "team_week.py").write_text(wider)
    run, merged = update()
    assert merged.counts()["rows_read"] == 2
    assert run.database.execute('SELECT team_id, "rank" FROM team_week ORDER BY 1') == [(1, 4), (2, 4)]


def test_a_row_that_moves_follows_its_last_parent(source: Source, declared: Path) -> None:
    (declared / "datasets" / "team_player.py").write_text(ONE_TEAM)
    source.rows = [team(1, "2024-03-01", [11, 12]), team(2, "2024-03-01", [21])]
    update()
    source.rows = [team(2, "2024-03-05", [21, 11]), team(1, "2024-03-05", [12])]
    run, _ = update()
    assert rosters(run) == [
        (1, 12, "2024-03-05", "api"),
        (2, 11, "2024-03-05", "api"),
        (2, 21, "2024-03-05", "api"),
    ]
    assert children(run)[0] == ("team_player", 3, 0, 3, 0, 0, 0, 0)
    # Both teams claim it in one answer: the last one has it.
    source.rows = [team(1, "2024-03-06", [12, 21]), team(2, "2024-03-06", [21, 11])]
    run, _ = update()
    assert [row[:2] for row in rosters(run)] == [(1, 12), (2, 11), (2, 21)]
    assert children(run)[0] == ("team_player", 4, 0, 4, 0, 0, 0, 0)
    assert "parents_of_team_player" in run.database.relations()


def test_lists_that_say_nothing_and_rows_that_are_rejected(source: Source) -> None:
    source.rows = [team(1, "2024-03-01", [11, 12, 13], {"202401": 1}), team(2, "2024-03-01", [21])]
    update()
    source.rows = [{**team(1, "2024-03-05"), "weekly_scores": None}, team(2, "2024-03-05", [])]
    run, _ = update()
    assert [row[:2] for row in rosters(run)] == [(1, 11), (1, 12), (1, 13)]
    assert scores(run) == [(1, "202401", 1.0, "api")]
    first = team(1, "2024-03-06", [12, 14], {"202401": 2, "202402": 3})
    first["weekly_scores"][0]["fantasy_points"] = "many"
    first["players"] += [{"player_id": None}, 7]
    source.rows = [first, {**team(2, "2024-03-06"), "players": "none"}]
    run, _ = update()
    # While a nested row has no key that can be read, none of its team is deleted.
    assert [row[:2] for row in rosters(run)] == [(1, 11), (1, 12), (1, 13), (1, 14)]
    assert scores(run) == [(1, "202401", 1.0, "api"), (1, "202402", 3.0, "api")]
    assert children(run) == [("team_player", 5, 1, 1, 0, 0, 3, 0), ("team_week", 2, 1, 0, 0, 0, 1, 0)]
    kept = run.database.execute(
        'SELECT dataset, position, "row", reasons FROM rejected_row WHERE run_id = ? ORDER BY dataset, rowid',
        [run.run_id],
    )
    assert [
        (name, position, json.loads(row), json.loads(reasons)) for name, position, row, reasons in kept
    ] == [
        ("team_player", "page 0, row 1, players", "none", ["'none' is not a list"]),
        ("team_player", "page 0, row 0, players[3]", 7, ["7 is not a JSON object"]),
        (
            "team_player",
            "page 0, row 0, players[2]",
            {"player_id": None, "team_id": 1, "last_changed_date": "2024-03-06"},
            ["player_id: is missing"],
        ),
        (
            "team_week",
            "page 0, row 0, weekly_scores[0]",
            {"week_number": "202401", "fantasy_points": "many", "team_id": 1},
            ["fantasy_points: 'many' is not a number"],
        ),
    ]


@pytest.mark.only("sqlite")
def test_too_many_rejected_nested_rows_refuse_the_run(source: Source) -> None:
    source.rows = [team(1, "2024-03-01", [11], {f"2024{week:02}": 1 for week in range(1, 20)})]
    for score in source.rows[0]["weekly_scores"]:  # type: ignore[union-attr]
        score["fantasy_points"] = "many"  # type: ignore[index]
    with pytest.raises(DataRefused, match="team_week: 19 of 19 rows were rejected, more than max_"):
        update(limits=Limits())
    run = session.join_run("bulk_load", {"dataset": "team"})
    assert rosters(run) == []
    assert run.database.execute("SELECT dataset, count(*) FROM rejected_row GROUP BY 1") == [
        ("team_week", 19)
    ]
    assert run.database.execute("SELECT count(*) FROM run_child") == [(0,)]


def test_files_with_nested_lists_and_the_childs_own_file(source: Source, declared: Path) -> None:
    run, _ = load(
        write(
            declared, "a.jsonl", team(1, "2024-03-01", [11, 12], {"202401": 1}), team(2, "2024-03-01", [21])
        )
    )
    assert rosters(run) == [
        (1, 11, "2024-03-01", "bulk"),
        (1, 12, "2024-03-01", "bulk"),
        (2, 21, "2024-03-01", "bulk"),
    ]
    rows = [team(1, "2024-03-02", [12, 13], {"202401": 1}), team(3, "2024-03-02", [31], {"202401": 3})]
    parquet.write_table(pa.Table.from_pylist(rows), declared / "data" / "b.parquet")
    run, _ = load("b.parquet")
    assert children(run) == [("team_player", 3, 2, 1, 0, 0, 0, 1), ("team_week", 2, 1, 0, 1, 0, 0, 0)]
    source.rows = [team(1, "2024-03-02", [12, 14])]
    run, _ = update()
    assert [row for row in rosters(run) if row[0] == 1] == [
        (1, 12, "2024-03-02", "api"),
        (1, 14, "2024-03-02", "api"),
    ]
    assert children(run)[0] == ("team_player", 2, 1, 0, 1, 0, 0, 1)
    # The first team is from a live source now: neither its file nor that of its players changes its roster.
    run, merged = load(write(declared, "c.jsonl", team(1, "2024-03-02", [19]), team(2, "2024-03-02", [22])))
    assert {name: count for name, count in merged.counts().items() if count} == {
        "rows_read": 2,
        "rows_updated": 1,
        "rows_unchanged": 1,
    }
    assert children(run)[0] == ("team_player", 2, 1, 0, 0, 1, 0, 1)
    own = "team_id,player_id,last_changed_date\n1,12,2024-03-02\n1,18,2024-03-20\n2,23,2024-03-20\n"
    (declared / "data" / "own.csv").write_text(own)
    run, merged = load("own.csv", "team_player")
    assert {name: count for name, count in merged.counts().items() if count} == {
        "rows_read": 3,
        "rows_inserted": 1,
        "rows_unchanged": 1,
        "rows_stale": 1,
    }
    assert rosters(run) == [
        (1, 12, "2024-03-02", "api"),
        (1, 14, "2024-03-02", "api"),
        (2, 22, "2024-03-02", "bulk"),
        (2, 23, "2024-03-20", "bulk"),
        (3, 31, "2024-03-02", "bulk"),
    ]


def test_a_rejected_team_is_replayed_with_its_rows(source: Source, declared: Path) -> None:
    declaration = declared / "datasets" / "team.py"
    strict = TEAM.replace(
        "    children=(", '    rules=(Pattern("team_name", "Team [0-9]+"),),\n    children=('
    )
    declaration.write_text(strict.replace("Rest, Since", "Pattern, Rest, Since"))
    odd = {"team_name": "Odd"}
    teams = [team(1, "2024-03-01", [11]), team(2, "2024-03-01", [21], {"202401": 2})]
    source.rows = [{**one, **odd} for one in teams]
    rejecting, _ = update()
    assert (rosters(rejecting), children(rejecting)) == (
        [],
        [("team_player", 0, 0, 0, 0, 0, 0, 0), ("team_week", 0, 0, 0, 0, 0, 0, 0)],
    )
    source.rows = [team(1, "2024-03-05", [12])]
    update()
    declaration.write_text(TEAM)
    run, _ = load(f"rejected:{rejecting.run_id}")
    # The first team has a newer version, so that its old roster stays out.
    assert rosters(run) == [(1, 12, "2024-03-05", "api"), (2, 21, "2024-03-01", "api")]
    assert scores(run) == [(2, "202401", 2.0, "api")]
    assert children(run) == [("team_player", 2, 1, 0, 0, 1, 0, 0), ("team_week", 1, 1, 0, 0, 0, 0, 0)]


def test_a_rejected_nested_row_is_replayed_unless_its_team_changed(source: Source, declared: Path) -> None:
    declaration = declared / "datasets" / "team_week.py"
    strict = TEAM_WEEK.replace(
        '    key=("team_id"', '    rules=(Range("fantasy_points", low=0),),\n    key=("team_id"'
    )
    declaration.write_text(strict.replace("Dataset\n", "Dataset, Range\n", 1))
    source.rows = [team(1, "2024-03-01", [], {"202401": -1}), team(2, "2024-03-01", [], {"202401": -2})]
    rejecting, _ = update()
    assert scores(rejecting) == []
    source.rows = [team(1, "2024-03-05", [], {"202402": 5})]
    update()
    declaration.write_text(TEAM_WEEK)
    run, merged = load(f"rejected:{rejecting.run_id}", "team_week")
    assert scores(run) == [(1, "202402", 5.0, "api"), (2, "202401", -2.0, "api")]
    assert (merged.counts()["rows_inserted"], merged.counts()["rows_stale"]) == (1, 1)


@dataclass
class Given:
    """Give rows as an API does, without a server."""

    rows: list[Row]
    kind: SourceKind = KIND_API
    name: str = "given"

    def batches(self) -> Iterator[RawBatch]:
        yield RawBatch(self.rows, lambda row: f"row {row}", family="api")

    def ending(self) -> Ending:
        return Ending(Origin(self.kind), rows=len(self.rows))


def begun(home: Path, rows: list[Row]) -> tuple[Session, extract.Extract]:
    """Begin a run, and read its rows, but merge nothing."""
    database = connect(databases.connection(home))
    run_id = new_run_id()
    ledger.start_run(
        database,
        run_id=run_id,
        dag_id="manual",
        dag_run_id=run_id,
        task_id="load",
        notebook="load",
        notebook_sha256="0" * 64,
        parameters={"dataset": "team", "source": "given"},
        artifact=None,
    )
    run = Session(run_id, {"dataset": "team"}, database, None)
    return run, extract.open_source(run, Given(rows))


@pytest.mark.parametrize("is_stored", [False, True])
def test_of_two_readings_the_one_that_began_later_has_the_children(declared: Path, is_stored: bool) -> None:
    (declared / "datasets" / "team_player.py").write_text(ONE_TEAM)
    session.join_run("bulk_load", {"dataset": "team"})
    session._leave()
    if is_stored:
        run, opened = begun(declared, [team(1, "2024-03-01", [11]), team(2, "2024-03-01", [21])])
        finished(run, opened, ANY_NUMBER)
    early, late = (
        begun(declared, [team(1, "2024-03-01", [11, 12]), team(3, "2024-03-01", [13])]),
        begun(declared, [team(1, "2024-03-01", [11, 13]), team(2, "2024-03-01", [21])]),
    )
    finished(*late, ANY_NUMBER)
    run, merged = finished(*early, ANY_NUMBER)
    # The first team was read later by the other run, and so was the player that moved.
    assert [row[:2] for row in rosters(run)] == [(1, 11), (1, 13), (2, 21)]
    assert children(run)[0] == ("team_player", 3, 0, 0, 0, 3, 0, 0)
    assert {name: count for name, count in merged.counts().items() if count} == {
        "rows_read": 2,
        "rows_inserted": 1,
        "rows_unchanged": 1,
    }
    for opened in (early, late):
        opened[0].database.close()


def test_of_several_versions_of_a_parent_the_last_has_the_children(declared: Path) -> None:
    versions = [
        team(1, "2024-03-02", [11, 12], {"202401": 1}),
        team(1, "2024-03-01", [13]),
        team(2, "2024-03-01", [21]),
        team(2, "2024-03-02", [22, 22]),
    ]
    run, _ = load(write(declared, "a.jsonl", *versions))
    assert [row[:3] for row in rosters(run)] == [
        (1, 11, "2024-03-02"),
        (1, 12, "2024-03-02"),
        (2, 22, "2024-03-02"),
    ]
    assert children(run) == [("team_player", 6, 3, 0, 1, 2, 0, 0), ("team_week", 1, 1, 0, 0, 0, 0, 0)]
    run, merged = load(write(declared, "b.jsonl", *versions, team(3, "2024-03-01")))
    assert merged.counts()["rows_inserted"] == 1
    assert children(run)[0] == ("team_player", 6, 0, 0, 4, 2, 0, 0)


KILLED = """
import os, signal
from notebook_pipeline.steps import extract, session
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits

run = session.join_run("bulk_load", {"dataset": "team"})
opened = extract.open_bulk(run, "b.jsonl", "")
with transaction(run, opened.origin, Limits()) as merged:
    merged.merge(opened.batches)
    assert merged.children["team_player"].merged.inserted == 1
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_load_that_is_killed_leaves_nothing_and_the_next_makes_it_good(declared: Path) -> None:
    load(write(declared, "a.jsonl", team(1, "2024-03-01", [11, 12])))
    session._leave()
    write(declared, "b.jsonl", team(1, "2024-03-02", [12, 13]))
    killed = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    run = session.join_run("bulk_load", {"dataset": "team"})
    assert [row[:3] for row in rosters(run)] == [(1, 11, "2024-03-01"), (1, 12, "2024-03-01")]
    assert run.database.execute("SELECT count(*) FROM run_child") == [(2,)]
    run, _ = load("b.jsonl")
    assert [row[:3] for row in rosters(run)] == [(1, 12, "2024-03-02"), (1, 13, "2024-03-02")]
    assert children(run)[0] == ("team_player", 2, 1, 1, 0, 0, 0, 1)


@pytest.mark.only("sqlite")
def test_what_does_not_fit_refuses_the_run_in_words(declared: Path) -> None:
    bad = declared / "datasets" / "team_week.py"
    parent = '{"team_id": "team_id", "week_number": "week_number"}'
    grandchild = f'    children=[Child("team_day", at="days", parent={parent})],\n    key='
    for text, reason in (
        (
            TEAM_WEEK.replace("import", "import Child,", 2)
            .replace("import Child, pyarrow", "import pyarrow")
            .replace("    key=", grandchild),
            r"child 'team_week', which has children itself \(team_day\); rows nested in nested rows are not",
        ),
        ("x = 1", "dataset 'team' has the child 'team_week': .*declares 0 datasets"),
        (
            TEAM_WEEK.replace('"team_id"', '"id"'),
            r"child 'team_week', and gives it the columns \['team_id'\]; 'team_week' declares",
        ),
        (
            TEAM_WEEK.replace('Column("team_id", pa.int64()', 'Column("team_id", pa.string()'),
            "whose column team_id is declared as string, but takes the values of team_id, which",
        ),
    ):
        bad.write_text(text)
        with pytest.raises(UsageError, match=reason):
            session.join_run("bulk_load", {"dataset": "team"})
    bad.unlink()
    with pytest.raises(UsageError, match="has the child 'team_week': unknown dataset 'team_week'"):
        session.join_run("bulk_load", {"dataset": "team"})
    run = session.join_run("bulk_load", {"dataset": "team_player"})
    assert not {"team", "team_week"} & run.database.relations()
