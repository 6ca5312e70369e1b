"""The sample is the same everywhere, is realistic, and its API speaks the contract."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from declared import PLAYER

from notebook_pipeline import settings
from sample import api_server
from sample import players as sample_players
from sample.bulk_files import write_sample

COLUMNS = PLAYER.schema.names
FIRST_PLAYERS = [
    [1001, "00-1975321", "Caldan", "D'Corighast", "WR", date(2023, 12, 1)],
    [1002, "00-9629642", "Elmas", "McKestifort", "RB", date(2024, 8, 15)],
    [1003, "00-7283963", "Défen", "Brixiçal", "RB", date(2024, 7, 20)],
]
PERFORMANCES_OF_1002 = [
    {
        "performance_id": 10021,
        "week_number": "202401",
        "fantasy_points": 28.4,
        "last_changed_date": "2024-09-07",
    }
]


@pytest.fixture(scope="module")
def url():
    with api_server.running() as address:
        yield address


def get(url: str, **query: int | str) -> list[dict]:
    response = requests.get(f"{url}/v0/players/", params=query, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


def test_first_players_are_these_for_ever():
    assert [list(row.values()) for row in sample_players.players(3).to_pylist()] == FIRST_PLAYERS


def test_a_larger_count_only_adds_players():
    assert sample_players.players(50).slice(0, 20).equals(sample_players.players(20))
    assert not sample_players.players(20, seed=1).equals(sample_players.players(20))


def test_committed_files_are_what_the_generator_writes(tmp_path: Path):
    for written in write_sample(tmp_path):
        committed = settings.CHECKOUT / "data" / written.name
        assert written.read_bytes() == committed.read_bytes(), (
            f"{committed}: remake it with `notebook-pipeline sample`"
        )


def test_csv_and_parquet_hold_the_same_rows(tmp_path: Path):
    parquet, text = write_sample(tmp_path, count=500)
    lines = text.read_bytes().decode().split("\n")
    header, *rows = (line.split(",") for line in lines[:-1])
    assert header == COLUMNS
    assert lines[-1] == ""
    assert b"\r" not in text.read_bytes()
    expected = [
        ["" if value is None else str(value) for value in row.values()]
        for row in pq.read_table(parquet).to_pylist()
    ]
    assert rows == expected
    assert any(row[1] == "" for row in rows)


def test_committed_files_stay_small():
    sizes = [path.stat().st_size for path in (settings.CHECKOUT / "data").iterdir()]
    assert sum(sizes) < 2_000_000


def test_players_are_realistic():
    players = sample_players.players().to_pydict()
    names = players["first_name"] + players["last_name"]
    assert len(set(players["player_id"])) == 20_000 == len(players["player_id"])
    assert set(players["position"]) == {"QB", "RB", "WR", "TE", "K", "DEF"}
    assert max(players["last_changed_date"]) == sample_players.BULK_DAY
    assert players["last_changed_date"].count(sample_players.BULK_DAY) > 100, "many rows share one day"
    known = [gsis for gsis in players["gsis_id"] if gsis is not None]
    assert 0.85 < len(known) / 20_000 < 0.95
    assert len(set(known)) == len(known)
    assert all(len(gsis) == 10 and gsis.startswith("00-") and gsis[3:].isdigit() for gsis in known)
    assert sum("'" in name for name in names) > 100
    assert sum(not name.isascii() for name in names) > 1000
    assert not any(set(name) & set(',"\n\r') or not name.strip() for name in names)


def test_changed_players_are_the_same_players_some_weeks_later():
    before = {row["player_id"]: row for row in sample_players.players().to_pylist()}
    after = {row["player_id"]: row for row in sample_players.changed_players().to_pylist()}
    changed = [after[key] for key in before if after[key] != before[key]]
    new = [row for key, row in after.items() if key not in before]
    assert before.keys() < after.keys()
    assert 300 <= len(changed) <= 320
    assert len(new) == 36
    assert all(before[row["player_id"]]["last_changed_date"] <= row["last_changed_date"] for row in changed)
    assert all(
        sample_players.BULK_DAY <= row["last_changed_date"] < sample_players.SAMPLE_TODAY
        for row in changed + new
    )
    assert any(row["last_changed_date"] == sample_players.BULK_DAY for row in changed), (
        "a change on the boundary"
    )
    assert {
        column for row in changed for column in COLUMNS if row[column] != before[row["player_id"]][column]
    } == {
        "gsis_id",
        "last_name",
        "position",
        "last_changed_date",
    }


def test_health(url: str):
    assert requests.get(url, timeout=60).json() == {"message": "API health check successful"}


def test_counts_are_of_everything(url: str):
    counts = requests.get(f"{url}/v0/counts/", timeout=60).json()
    assert counts == {"league_count": 5, "team_count": 20, "player_count": 20_036, "week_count": 3}


def test_pages_together_are_the_changed_players(url: str):
    pages = [get(url, skip=skip, limit=7_000) for skip in (0, 7_000, 14_000, 21_000)]
    assert [len(page) for page in pages] == [7_000, 7_000, 6_036, 0]
    served = [row for page in pages for row in page]
    played = [row.pop("performances") for row in served]
    expected = [
        row | {"last_changed_date": str(row["last_changed_date"])}
        for row in sample_players.changed_players().to_pylist()
    ]
    assert served == expected
    assert played == sample_players.performances([row["player_id"] for row in expected])


def test_filter_has_a_closed_boundary(url: str):
    day = date(2024, 9, 20)
    expected = [
        row["player_id"]
        for row in sample_players.changed_players().to_pylist()
        if row["last_changed_date"] >= day
    ]
    found = get(url, limit=50_000, minimum_last_changed_date=str(day))
    assert [row["player_id"] for row in found] == expected
    assert min(row["last_changed_date"] for row in found) == str(day)
    assert get(url, skip=len(expected), limit=10, minimum_last_changed_date=str(day)) == []


def test_a_page_has_a_hundred_players_unless_asked(url: str):
    assert len(get(url)) == 100


@pytest.mark.parametrize("query", ["skip=-1", "limit=0", "minimum_last_changed_date=yesterday"])
def test_wrong_queries_are_refused(url: str, query: str):
    assert requests.get(f"{url}/v0/players/?{query}", timeout=60).status_code == 422


def test_given_players_are_served():
    players = sample_players.players(3)
    with api_server.running(players) as url:
        assert [row["player_id"] for row in get(url)] == players["player_id"].to_pylist()


def test_serve_tells_its_address_on_a_free_port_and_ends_on_a_signal():
    code = "from sample.api_server import serve;serve(port=0, ready=lambda url: print(url, flush=True))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert requests.get(url, timeout=60).status_code == 200
        process.terminate()
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()


def test_the_server_starts_without_pandas():
    code = (
        "import sys; from sample.api_server import create_app;create_app(); sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, (
        "pandas doubles its start"
    )


def test_performances_are_nested_and_few():
    nested = sample_players.performances(list(range(1001, 1101)))
    assert {len(played) for played in nested} == {0, 1, 2, 3}
    assert sample_players.performances([1002])[0] == nested[1]
    assert nested[1] == PERFORMANCES_OF_1002


def test_sample_fits_the_dataset():
    for table in (sample_players.players(10), sample_players.changed_players(10, changed=3, new=2)):
        assert table.schema == PLAYER.schema
        assert isinstance(table, pa.Table)
        assert table["player_id"].null_count == 0
