"""The ledger: one row a run, told as it went, and lost runs settled by whoever finds them."""

import json
import multiprocessing
import os
import re
import signal
from pathlib import Path

import databases
import loads
import pytest
import waiting

from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.running.run_identity import new_run_id
from notebook_pipeline.storage import ledger, loaded_files
from notebook_pipeline.storage.database import Database, Lock

pytestmark = pytest.mark.usefixtures("each_database")

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["notebook_pipeline.steps.load_transaction"])

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"


def started(database: Database, run_id: str = "r", artifact: str | None = "runs/d/r/t__try1.ipynb") -> None:
    ledger.start_run(
        database,
        run_id=run_id,
        dag_id="d",
        dag_run_id="manual__2024-01-01T00:00:00+00:00",
        task_id="t",
        map_index=2,
        try_number=3,
        notebook="bulk_load",
        notebook_sha256="ab",
        parameters={"dataset": "player", "source": "ñ.csv", "force": True},
        artifact=artifact,
    )


def test_run_ids_sort_by_time_and_are_file_names() -> None:
    made = [new_run_id() for _ in range(100)]
    moments = [run_id[:-2] for run_id in made]
    assert moments == sorted(moments)
    assert len(set(made)) == 100
    assert all(re.fullmatch(r"\d{6}-\d{12}[0-9a-f]{2}", run_id) for run_id in made)


def test_a_run_is_told_from_start_to_end(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        started(database)
        row = ledger.get_run(database, "r")
        assert re.fullmatch(MOMENT, str(row.pop("started_at")))
        begun = {
            "run_id": "r",
            "dag_id": "d",
            "dag_run_id": "manual__2024-01-01T00:00:00+00:00",
            "task_id": "t",
            "map_index": 2,
            "try_number": 3,
            "notebook": "bulk_load",
            "notebook_sha256": "ab",
            "parameters": '{"dataset": "player", "force": true, "source": "ñ.csv"}',
            "dataset": "player",
            "source": "ñ.csv",
            "status": "running",
            "artifact": "runs/d/r/t__try1.ipynb",
        }
        assert {name: value for name, value in row.items() if value is not None} == begun
        assert ledger.finish_run(database, "r", "failed", "no such file")
        row = ledger.get_run(database, "r")
        assert re.fullmatch(MOMENT, str(row.pop("finished_at")))
        ended = {**begun, "status": "failed", "error": "no such file", "started_at": row["started_at"]}
        assert {name: value for name, value in row.items() if value is not None} == ended


def test_a_closed_run_stays_as_it_was_closed(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        started(database)
        ledger.finish_run(database, "r", "success")
        before = ledger.get_run(database, "r")
        assert not ledger.finish_run(database, "r", "failed", "late")
        ledger.refuse_run(database, "r", 10, 1)
        with pytest.raises(PipelineError, match="run r is no longer `running`"):
            ledger.commit_run(database, "r", {"rows_read": 1})
        assert ledger.get_run(database, "r") == before


def test_what_is_committed_twice_by_hand_adds_up(tmp_path: Path) -> None:
    counts = dict.fromkeys(["rows_read", "rows_inserted"], 2)
    with loads.open_database(tmp_path) as database:
        started(database)
        ledger.commit_run(database, "r", counts, watermark_before=None, watermark_after="2024-01-01")
        ledger.commit_run(database, "r", counts, watermark_before="2024-01-01", watermark_after="2024-01-02")
        row = ledger.get_run(database, "r")
        assert (row["rows_read"], row["rows_inserted"]) == (4, 4)
        assert (row["watermark_before"], row["watermark_after"]) == ("2024-01-01", "2024-01-02")


def test_a_run_that_reads_no_rows_has_no_counts(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        started(database)
        ledger.commit_run(database, "r", {})
        assert set(loads.counts(database, "r").values()) == {None}
        assert re.fullmatch(MOMENT, str(ledger.get_run(database, "r")["committed_at"]))


def test_an_unknown_run_is_named(tmp_path: Path) -> None:
    with (
        loads.open_database(tmp_path) as database,
        pytest.raises(UsageError, match=r"no run 'x' in .*; `notebook-pipeline runs`"),
    ):
        ledger.get_run(database, "x")


def test_the_last_merge_and_the_rows_there_are(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        assert (ledger.last_merge(database, "player"), ledger.stored_rows(database, "player")) == ("", 0)
        loads.run(database, loads.BULK, loads.checked([(1, "a", "2024-01-01"), (2, "a", "2024-01-01")]))
        sweep = loads.run(database, loads.API, loads.checked([(2, "a", "2024-01-01")]), present=[2])
        started(database)
        assert (ledger.last_merge(database, "player"), ledger.stored_rows(database, "player")) == (sweep, 1)


def test_a_refused_run_of_the_source_counts_where_it_is_asked_for(tmp_path: Path) -> None:
    def last() -> list[str]:
        sources = ("ñ.csv", "another")
        return [ledger.last_merge(database, "player", or_refused_from=source) for source in sources]

    with loads.open_database(tmp_path) as database:
        assert last() == ["", ""]
        merged = loads.run(database, loads.BULK, loads.checked([(1, "a", "2024-01-01")]))
        started(database, "refused")
        assert last() == [merged, merged]
        ledger.refuse_run(database, "refused", 5, 5)
        assert last() == ["refused", merged]
        ledger.finish_run(database, "refused", "failed", "refused")
        assert last() == ["refused", merged]
        assert ledger.last_merge(database, "player") == merged
        again = loads.run(database, loads.BULK, loads.checked([(1, "b", "2024-01-02")]))
        assert last() == [again, again]


def test_a_file_is_known_by_what_it_holds(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        assert loaded_files.loaded_before(database, "player", "sha/contract") is None
        for run_id in ("a", "b"):
            loaded_files.save_loaded_file(database, "player", "sha/contract", run_id)
        assert loaded_files.loaded_before(database, "player", "sha/contract") == "b"
        assert loaded_files.loaded_before(database, "team", "sha/contract") is None
        assert loaded_files.loaded_before(database, "player", "sha/other") is None


def test_rejected_rows_and_results_are_kept_whole(tmp_path: Path) -> None:
    rows = [("f.csv:2", '{"a": "ñ"}', ["a: 'ñ' is odd", "b: is missing"]), ("f.csv:9", '"cut', ["cut"])]
    result = {
        "check_name": "unique",
        "severity": "error",
        "passed": False,
        "measured": 3,
        "expected": "0",
        "sample": [{"player_id": 1}],
        "measured_number": 3,
        "measured_counts": {"ñ": 1},
    }
    with loads.open_database(tmp_path) as database:
        ledger.save_rejected(database, "r", "player", rows)
        ledger.save_rejected(database, "r", "player", [])
        columns = 'run_id, dataset, position, "row", reasons'
        assert database.execute(f"SELECT {columns} FROM rejected_row ORDER BY rowid") == [
            ("r", "player", position, row, json.dumps(reasons, ensure_ascii=False))
            for position, row, reasons in rows
        ]
        ledger.save_results(database, "r", "player", [result])
        assert database.execute("SELECT * FROM quality_result") == [
            ("r", "player", "unique", "error", 0, "3", "0", '[{"player_id": 1}]', 3, '{"ñ": 1}')
        ]


def leave_lock(folder: Path) -> None:
    """Leave what a killed process does."""
    (folder / "runs/d/r").mkdir(parents=True)
    (folder / "runs/d/r/t__try1.ipynb.lock").touch()


def test_a_run_with_another_output_folder_is_not_called_lost(tmp_path: Path) -> None:
    """Two checkouts may share one database; their locks are files, each beside its own artefact."""
    with loads.open_database(tmp_path) as database:
        started(database)
        run = ledger.get_run(database, "r")
        lock = ledger.hold(database, tmp_path / "mine", run)
        assert ledger.is_alive(database, tmp_path / "yours", run)
        assert ledger.settle_lost(database, tmp_path / "yours") == []
        assert ledger.get_run(database, "r")["status"] == "running"
        assert not (tmp_path / "yours").exists()
        lock.release()


def _hold(folder: Path, run_id: str, sender) -> None:
    with loads.open_database(folder) as database:
        ledger.hold(database, folder, ledger.get_run(database, run_id))
        sender.send("held")
        signal.pause()


def test_a_run_whose_process_is_gone_is_settled_and_others_are_left(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        for name in ("killed", "alive", "no lock", "done"):
            started(database, name, f"runs/{name}.ipynb")
        ledger.finish_run(database, "done", "success")
        (tmp_path / "runs").mkdir()
        for left in ("done.ipynb.lock", "no lock.ipynb", "alive.ipynb"):
            (tmp_path / "runs" / left).touch()
        receiver, sender = FORKED.Pipe(duplex=False)
        holder = FORKED.Process(target=_hold, args=(tmp_path, "killed", sender), daemon=True)
        holder.start()
        assert receiver.recv() == "held"
        alive = ledger.hold(database, tmp_path, ledger.get_run(database, "alive"))
        assert [run["run_id"] for run in ledger.settle_lost(database, tmp_path)] == ["no lock"]
        os.kill(holder.pid or 0, signal.SIGKILL)
        holder.join()
        waiting.until(lambda: not databases.others(database))
        settled = ledger.settle_lost(database, tmp_path)
        assert [(run["run_id"], run["status"]) for run in settled] == [("killed", "running")]
        assert ledger.settle_lost(database, tmp_path) == []
        assert database.execute("SELECT run_id, status, error FROM pipeline_run ORDER BY run_id") == [
            ("alive", "running", None),
            ("done", "success", None),
            ("killed", "failed", "process lost"),
            ("no lock", "failed", "process lost"),
        ]
        locks = {path.name for path in (tmp_path / "runs").glob("*.lock")}
        assert locks == {"done.ipynb.lock"} | (set() if database.is_shared else {"alive.ipynb.lock"})
        assert ledger.is_alive(database, tmp_path, ledger.get_run(database, "alive"))
        alive.release()
        assert not ledger.is_alive(database, tmp_path, ledger.get_run(database, "alive"))


def test_a_run_that_ends_while_it_is_looked_at_is_not_called_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runner closes the row and gives up the lock while another is about to take it."""
    with loads.open_database(tmp_path) as database:
        started(database)
        lock = ledger.hold(database, tmp_path, ledger.get_run(database, "r"))
        take = type(database).hold_run

        def take_late(self: Database, run_id: str, file: Path) -> Lock:
            ledger.finish_run(database, "r", "success")
            lock.release()
            return take(self, run_id, file)

        monkeypatch.setattr(type(database), "hold_run", take_late)
        assert ledger.settle_lost(database, tmp_path) == []
        assert ledger.get_run(database, "r")["status"] == "success"
        assert list((tmp_path / "runs").rglob("*.lock")) == []


def test_a_run_is_settled_by_one_of_those_who_find_it(tmp_path: Path) -> None:
    with loads.open_database(tmp_path) as database:
        started(database)
        leave_lock(tmp_path)
        with FORKED.Pool(4) as pool:
            settled = pool.map(_settle, [tmp_path] * 8, chunksize=1)
        assert sorted(settled) == [[]] * 7 + [["r"]]


def _settle(folder: Path) -> list:
    with loads.open_database(folder) as database:
        return [run["run_id"] for run in ledger.settle_lost(database, folder)]


def test_a_run_without_an_artefact_has_its_lock_by_its_id(tmp_path: Path) -> None:
    run = {"run_id": "r", "artifact": None}
    assert ledger.lock_path(tmp_path, run) == tmp_path / "runs/manual/r.lock"
