"""What a run opens: a bulk file, the rejected rows of another run, or the API since its watermark."""

# pyarrow makes its compute functions at run time, where a type checker cannot see them.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
from pyarrow import parquet

from notebook_pipeline import settings
from notebook_pipeline.connections import API, FILES, Connection, variable
from notebook_pipeline.errors import DataRefused, PipelineError, UsageError
from notebook_pipeline.sources.http import rest
from notebook_pipeline.steps import extract, session
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.storage import ledger
from sample import api_server
from sample import players as sample_players

NO_LIMITS = Limits(max_rejected_percent=100.0)
STRICT = Limits(max_rejected_percent=0.0)


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test its own output folder and database, on the sample's day."""
    for name in ("ANALYTICS_DATABASE", "SPORTSWORLDCENTRAL_URL"):
        monkeypatch.delenv(f"AIRFLOW_CONN_{name}", raising=False)
    files = Connection(FILES, "fs", extra={"path": str(settings.CHECKOUT / "data"), "allow": [str(tmp_path)]})
    monkeypatch.setenv(variable(FILES), files.to_json())
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", sample_players.SAMPLE_TODAY.isoformat())


@pytest.fixture
def sample_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with api_server.running() as url:
        monkeypatch.setenv(variable(API), url)
        yield url


def bulk_run(source: str, *, force: bool = False, limits: Limits = NO_LIMITS) -> tuple[dict, list[str]]:
    run = session.join_run("bulk_load", {"source": source, "force": force})
    opened = extract.open_bulk(run, source, "repository_raw_url", force=force)
    with transaction(run, opened.origin, limits) as merged:
        merged.merge(opened.batches)
    counts = merged.counts()
    run.finish(merged.result())
    return counts, opened.notes


def players() -> list[tuple]:
    run = session.join_run("bulk_load", {})
    rows = run.database.execute("SELECT * FROM player ORDER BY player_id")
    run.finish({})
    return rows


def test_parquet_and_csv_fill_the_same_table() -> None:
    from_parquet, _ = bulk_run("players.parquet")
    rows = players()
    from_csv, _ = bulk_run("data/players.csv")
    assert from_parquet["rows_inserted"] == from_csv["rows_unchanged"] == sample_players.COUNT
    assert players() == rows


def test_a_group_of_files_is_recognised_whatever_was_loaded_beside_it(tmp_path: Path) -> None:
    a, b, c = (str(tmp_path / f"{name}.parquet") for name in "abc")
    for number, path in enumerate((a, b, c)):
        parquet.write_table(sample_players.players(30).slice(10 * number, 10), path)
    assert bulk_run(f"{a}\n{b}")[0]["rows_inserted"] == 20
    assert bulk_run(c)[0]["rows_inserted"] == 10
    again, notes = bulk_run(f"{b}\n{a}")
    assert again["rows_read"] == 0
    assert notes[0].startswith(f"{b}, {a} was already loaded by run ")
    assert bulk_run(f"{b}\n{c}")[0]["rows_unchanged"] == 20


def test_a_loaded_file_is_recognised_unless_forced() -> None:
    bulk_run("players.parquet")
    rows = players()
    again, notes = bulk_run("players.parquet")
    assert again["rows_read"] == 0
    assert "was already loaded" in notes[0]
    forced, notes = bulk_run("players.parquet", force=True)
    assert (forced["rows_unchanged"], notes) == (sample_players.COUNT, [])
    assert players() == rows


def test_an_unknown_column_is_reported_and_left_out(tmp_path) -> None:
    table = sample_players.players(3).append_column("shoe_size", pa.array([42, 43, 44]))
    pyarrow.csv.write_csv(table, tmp_path / "shoes.csv")
    counts, notes = bulk_run(str(tmp_path / "shoes.csv"))
    assert (counts["rows_inserted"], notes) == (3, ["not declared by player, so not loaded: shoe_size"])


def test_a_mended_contract_takes_rejected_rows_again(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2024-01-01")
    tomorrow = pc.if_else([True, False, True], pa.scalar(date(2024, 6, 1)), pa.scalar(date(2023, 6, 1)))
    table = sample_players.players(3).set_column(5, "last_changed_date", tomorrow)
    pyarrow.csv.write_csv(table, tmp_path / "early.csv")
    run = session.join_run("bulk_load", {})
    opened = extract.open_bulk(run, str(tmp_path / "early.csv"), "repository_raw_url")
    with transaction(run, opened.origin, NO_LIMITS) as merged:
        merged.merge(opened.batches)
    run_id = run.run_id
    run.finish(merged.result())
    assert (merged.counts()["rows_inserted"], merged.counts()["rows_rejected"]) == (1, 2)

    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2024-06-01")
    counts, _ = bulk_run(f"rejected:{run_id}")
    assert (counts["rows_read"], counts["rows_inserted"]) == (2, 2)
    assert [row[0] for row in players()] == table["player_id"].to_pylist()


def test_a_refused_file_leaves_its_rejected_rows_and_nothing_else(tmp_path) -> None:
    (tmp_path / "bad.csv").write_text(
        "player_id,gsis_id,first_name,last_name,position,last_changed_date\nx,,A,B,QB,2024-01-01\n"
    )
    run = session.join_run("bulk_load", {})
    opened = extract.open_bulk(run, str(tmp_path / "bad.csv"), "repository_raw_url")
    with (
        pytest.raises(DataRefused, match="1 of 1 rows were rejected"),
        transaction(run, opened.origin, STRICT) as merged,
    ):
        merged.merge(opened.batches)
    assert run.database.execute("SELECT count(*) FROM player") == [(0,)]
    assert len(run.database.execute("SELECT * FROM rejected_row WHERE run_id = ?", [run.run_id])) == 1
    run.fail("refused")


def test_the_first_update_begins_at_the_bulk_files_watermark(sample_api: str) -> None:
    bulk_run("players.parquet")
    run = session.join_run("api_incremental_update", {})
    assert extract.first_watermark(run, "") == sample_players.BULK_DAY.isoformat()
    assert extract.first_watermark(run, "2d") == "2024-08-29"
    update = extract.open_api(run, API)
    assert f"changed since {sample_players.BULK_DAY}" in update.notes[0]
    assert not update.shows_missing
    with transaction(run, update.origin, NO_LIMITS) as merged:
        merged.merge(update.batches)
        assert merged.compare_count(update.source_count)
    assert merged.counts()["rows_inserted"] > 0
    stored = run.database.query(
        "SELECT player_id, gsis_id, first_name, last_name, position, last_changed_date "
        "FROM player ORDER BY player_id"
    )
    served = sample_players.changed_players().sort_by("player_id")
    served = served.set_column(5, "last_changed_date", served["last_changed_date"].cast(pa.string()))
    assert stored.to_pylist() == served.to_pylist()
    assert extract.first_watermark(run, "") == pc.max(served["last_changed_date"]).as_py()
    run.finish(merged.result())


def test_a_sweep_shows_what_is_missing(sample_api: str) -> None:
    bulk_run("players.parquet")
    run = session.join_run("api_incremental_update", {})
    update = extract.open_api(run, API, full_sweep=True)
    assert update.shows_missing
    assert sorted(update.keys.to_pylist()) == sorted(
        sample_players.changed_players()["player_id"].to_pylist()
    )
    run.fail("only looked")


def test_tries_of_one_task_share_their_landed_pages(sample_api: str) -> None:
    run = session.join_run("api_incremental_update", {})
    extract.open_api(run, API)
    again = extract.open_api(run, API)
    assert again.rows == sample_players.changed_players().num_rows
    run.fail("only looked")


def test_a_wrong_address_fails_before_anything_is_written(
    sample_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = session.join_run("api_incremental_update", {})
    monkeypatch.setenv(variable(API), f'{{"conn_type": "http", "host": "{sample_api}/nowhere"}}')
    with pytest.raises(PipelineError, match="/nowhere/v0/"):
        extract.open_api(run, API)
    assert ledger.get_run(run.database, run.run_id)["committed_at"] is None
    run.fail("no answer")


def api_run(**options) -> tuple[str | None, list[str]]:
    """Update from the API; return the watermark that it left, and its notes."""
    run = session.join_run("api_incremental_update", {})
    update = extract.open_api(run, API, **options)
    with transaction(run, update.origin, NO_LIMITS) as merged:
        merged.merge(update.batches)
    result = merged.result()
    run.finish(result)
    watermark = result["watermark"]
    assert ledger.get_run(run.database, run.run_id)["watermark_after"] == watermark
    return None if watermark is None else str(watermark), update.notes


def served_since(day: str) -> list[int]:
    """Return the keys that the sample API serves from a day on."""
    served = sample_players.changed_players()
    return sorted(
        served.filter(pc.field("last_changed_date") >= date.fromisoformat(day))["player_id"].to_pylist()
    )


def test_the_first_update_moves_no_watermark_past_days_that_were_never_read(sample_api: str) -> None:
    watermark, notes = api_run(since="2024-09-15")
    assert watermark is None
    assert [row[0] for row in players()] == served_since("2024-09-15")
    assert notes[-1] == (
        "the watermark is unchanged, because changes before 2024-09-15 were not read; a run "
        "without `since` would read everything"
    )
    assert api_run()[0] == "2024-09-23"
    assert [row[0] for row in players()] == served_since("0001-01-01")


def test_an_update_from_a_later_day_leaves_the_days_before_to_the_next(sample_api: str) -> None:
    bulk_run("players.parquet")
    watermark, notes = api_run(since="20240902")
    assert watermark is None, "the bulk file's watermark is 2024-08-31"
    assert "a run without `since` would begin with 2024-08-31" in notes[-1]
    assert "changed since 2024-09-02" in notes[0]
    assert api_run(since="2024-08-31", overlap="1d")[0] is None, "by itself it would begin a day before"
    watermark, notes = api_run(since="2024-08-30", overlap="1d")
    assert (watermark, len(notes)) == ("2024-09-23", 1)
    assert [row[0] for row in players()] == served_since("0001-01-01")


def test_a_full_sweep_moves_the_watermark_whatever_since_says(sample_api: str) -> None:
    assert api_run(since="2024-09-15", full_sweep=True, overlap="1000000000d")[0] == "2024-09-23"
    assert api_run(since="2024-09-23") == (
        "2024-09-23",
        [f"{len(served_since('2024-09-23'))} rows in 1 page, changed since 2024-09-23"],
    )


@pytest.mark.parametrize("overlap", ["1000000d", "10000000000d", "99999999999999999999h"])
def test_more_overlap_than_the_calendar_has_is_refused(overlap: str) -> None:
    bulk_run("players.parquet")
    run = session.join_run("api_incremental_update", {})
    reason = f"`overlap` is '{overlap}', but the calendar has no time so long before 2024-08-31"
    with pytest.raises(UsageError, match=reason):
        extract.first_watermark(run, overlap)
    run.fail("refused")


@pytest.mark.parametrize("overlap", ["-1d", "2", "two days", "1w"])
def test_an_overlap_that_is_no_duration_is_refused(overlap: str) -> None:
    run = session.join_run("api_incremental_update", {})
    with pytest.raises(UsageError, match="`overlap` must be a duration such as 2d, 12h, 15min or 30s"):
        extract.first_watermark(run, overlap)
    run.fail("refused")


@pytest.mark.parametrize("since", ["yesterday", "2024-13-01", "2024-09-01T00:00:00"])
def test_a_since_that_is_no_day_is_refused(since: str) -> None:
    run = session.join_run("api_incremental_update", {})
    with pytest.raises(UsageError, match=r"must be a day \(YYYY-MM-DD\)"):
        extract.open_api(run, API, since)
    run.fail("refused")


def test_deleting_without_a_full_sweep_is_refused() -> None:
    run = session.join_run("api_incremental_update", {})
    with pytest.raises(UsageError, match="`delete_missing` is true, but `full_sweep` is false"):
        extract.open_api(run, API, delete_missing=True)
    run.fail("refused")


def test_keys_are_read_a_second_time_if_stored_rows_are_missing(
    sample_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = "player_id,gsis_id,first_name,last_name,position,last_changed_date\n7,,A,B,QB,2024-01-01\n"
    (tmp_path / "gone.csv").write_text(gone)
    bulk_run(str(tmp_path / "gone.csv"))
    run = session.join_run("api_incremental_update", {})
    again, asked = rest.RestSource.read_keys_again, []

    def read_keys_again(source: rest.RestSource) -> pa.Array:
        asked.append(source.name)
        return again(source)

    monkeypatch.setattr(rest.RestSource, "read_keys_again", read_keys_again)
    update = extract.open_api(run, API, full_sweep=True)
    assert (update.shows_missing, len(asked)) == (True, 1)
    run.fail("only looked")


def test_a_run_by_hand_goes_on_where_the_last_one_stopped(sample_api: str) -> None:
    first = session.join_run("api_incremental_update", {"since": ""})
    extract.open_api(first, API)
    first.fail("stopped")
    again = session.join_run("api_incremental_update", {"since": ""})
    assert any("were downloaded by an earlier try" in note for note in extract.open_api(again, API).notes)
    again.fail("only looked")
