"""Rejected rows, taken again as they were received."""

import json
from datetime import date
from pathlib import Path

import bulk_data
import loads
import pytest
from declared import PLAYER
from loads import API, BULK

from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.batch import Origin
from notebook_pipeline.contract.check_batch import Checked, Rejected, check_batch
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import DataRefused, UsageError
from notebook_pipeline.sources.files.bulk_file import fetch_bulk, read_batches
from notebook_pipeline.sources.files.file_source import BULK as KIND_BULK
from notebook_pipeline.sources.http.rest import API as KIND_API
from notebook_pipeline.steps.rejection_limits import Limits
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.database import Database

pytestmark = pytest.mark.usefixtures("each_database")

DAY = "2024-01-05"
HEADER = "player_id,gsis_id,first_name,last_name,position,last_changed_date\n"


def contract_without_rules() -> Dataset:
    """Return the dataset as it is once its contract was mended: no rule is left."""
    return Dataset(PLAYER.name, PLAYER.columns, PLAYER.key, PLAYER.cursor)


def checked_again(rejected: loads.Replayed) -> tuple[list[tuple], list[Rejected]]:
    found = [check_batch(raw, contract_without_rules(), date(2024, 12, 31)) for raw in rejected.batches]
    rows = [tuple(row.values()) for batch in found for row in batch.good.to_pylist()]
    assert sum(batch.read for batch in found) == rejected.rows
    return rows, [row for batch in found for row in batch.rejected]


def load_file(database: Database, folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    bulk = fetch_bulk(name, Connection("files", "fs", extra={"path": str(folder)}), folder / "cache", PLAYER)
    batches = [check_batch(raw, PLAYER, date(2024, 12, 31)) for raw in read_batches(bulk, PLAYER)]
    return loads.run(database, BULK, *batches)


def test_rows_of_a_csv_file_come_back_with_their_positions(tmp_path: Path) -> None:
    lines = [
        "1,,Ada,One,QB,2024-01-05",
        "2,,Ada,Two,GOALIE,2024-01-05",
        '3,00-1,José,"Three, Jr",GOALIE,2024-01-05',
        "4,,Ada",
        "5,,Ada,F\xff,QB,2024-01-05",
        "six,,Ada,Six,QB,2024-01-05",
    ]
    with loads.open_database(tmp_path) as database:
        run = load_file(database, tmp_path, "p.csv", (HEADER + "\n".join(lines) + "\n").encode("latin-1"))
        rejected = loads.replay(database, PLAYER, run)
        assert (rejected.origin, rejected.rows, rejected.notes) == (
            Origin(KIND_BULK, place=run, is_replay=True, moves_watermark=False), 5, []
        )  # fmt: skip
        rows, still = checked_again(rejected)
        # The file was written in Latin-1, so that José is not UTF-8 and stays out too.
        assert rows == [(2, None, "Ada", "Two", "GOALIE", "2024-01-05")]
        assert {row.position: row.reasons for row in still}.keys() == {
            "p.csv:4",
            "p.csv:5",
            "p.csv:6",
            "p.csv:7",
        }
        before = database.execute(
            "SELECT position, \"row\" FROM rejected_row WHERE position <> 'p.csv:3' ORDER BY 1"
        )
        assert sorted((row.position, row.row) for row in still) == before


def test_rows_of_a_parquet_file_come_back(tmp_path: Path) -> None:
    rows = [bulk_data.player(1), bulk_data.player(2, position="GOALIE", gsis_id=None, last_changed_date=DAY)]
    with loads.open_database(tmp_path) as database:
        run = load_file(database, tmp_path, "p.parquet", bulk_data.parquet_bytes(rows))
        again, still = checked_again(loads.replay(database, PLAYER, run))
        assert (2, None, "José", "O'Neil, Jr", "GOALIE", DAY) in again
        assert still == []


def test_rows_of_an_api_come_back_as_json(tmp_path: Path) -> None:
    """What was wrong with them, and still is, rejects them again."""
    values = bulk_data.player(7, last_changed_date=DAY)
    odd = [
        Rejected("page 0:1", json.dumps({**values, "performances": [{"week": 1}]}), ["position: is odd"]),
        Rejected("page 0:2", json.dumps({**values, "player_id": "8x"}), ["player_id: '8x' is no number"]),
        Rejected("page 1:0", json.dumps("no object"), ["'no object' is not a JSON object"]),
    ]
    with loads.open_database(tmp_path) as database:
        run = loads.run(database, API, loads.checked([(1, "a", DAY)], odd))
        rejected = loads.replay(database, PLAYER, run)
        assert rejected.origin == Origin(KIND_API, place=run, is_replay=True, moves_watermark=False)
        rows, still = checked_again(rejected)
        assert rows == [(7, "00-0000001", "José", "O'Neil, Jr", "QB", DAY)]
        found = {row.position: json.loads(row.row) for row in still}
        assert found == {row.position: json.loads(row.row) for row in odd[1:]}


def test_a_line_keeps_its_bytes_and_reason(tmp_path: Path) -> None:
    cut = [
        Rejected("p.csv:4", json.dumps("4,,Ada"), ["3 fields instead of 6", "and more"]),
        Rejected("p.csv:5", json.dumps({"base64": "/w=="}), ["1 field instead of 6"]),
    ]
    with loads.open_database(tmp_path) as database:
        run = loads.run(database, BULK, loads.checked([(1, "a", DAY)], cut))
        [batch] = loads.replay(database, PLAYER, run).batches
        assert len(batch) == 2
        assert [(row.position, row.content, row.reason) for row in batch.malformed] == [
            ("p.csv:4", b"4,,Ada", "3 fields instead of 6; and more"),
            ("p.csv:5", b"\xff", "1 field instead of 6"),
        ]


def test_rows_that_were_not_kept_are_told_of(tmp_path: Path) -> None:
    kept = [loads.rejected((key, "a", DAY)) for key in range(ledger.KEPT_REJECTED_ROWS)]
    with loads.open_database(tmp_path) as database:
        run = loads.run(database, BULK, Checked(loads.good([(1, "a", DAY)]), kept, 12_346))
        rejected = loads.replay(database, PLAYER, run)
        assert rejected.rows == 10_000
        assert rejected.notes == [
            f"run {run} rejected 12,345 rows, but only the first 10,000 were stored; "
            "to load the other 2,345, load their source again (force = true)"
        ]


def test_a_run_that_was_refused_can_be_replayed(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        session, _ = loads.start(database)
        with pytest.raises(DataRefused):
            loads.run(
                database,
                BULK,
                loads.checked([], [loads.rejected((1, "a", DAY))]),
                limits=Limits(),
                session=session,
            )
        rejected = loads.replay(database, PLAYER, session.run_id)
        assert (rejected.rows, rejected.origin.place, rejected.notes) == (1, session.run_id, [])


def test_what_cannot_be_replayed_is_a_wrong_use(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        run = loads.run(database, BULK, loads.checked([(1, "a", DAY)]))
        with pytest.raises(UsageError, match=f"run {run} rejected no row of dataset 'player'"):
            loads.replay(database, PLAYER, run)
        with pytest.raises(UsageError, match="no run 'x'"):
            loads.replay(database, PLAYER, "x")
