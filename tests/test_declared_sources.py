"""What a declaration says of its sources is what is read: names of parameters, counts, connections."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import failing_server as fs
import pytest
from declared import PLAYER

from notebook_pipeline.connections import API, FILES, variable
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare import Dataset, Offset, Rest, Since, Total
from notebook_pipeline.errors import UsageError
from notebook_pipeline.sources.http import rest
from notebook_pipeline.sources.http.http_client import Patience
from notebook_pipeline.steps import extract, session

QUICK = Patience(tries=1, budget=60)
THINGS = Rest(
    "v2/things",
    pages=Offset(offset="from", limit="at-most"),
    since=Since("changed[gte]"),
    total=Total("meta.things.all", "v2/stats"),
    page_size=20,
)


class Elsewhere(fs.Source):
    """Speak of the same rows in other words."""

    def answer(self, request: fs.Request) -> bytes:
        if request.path == "/v2/stats":
            return json.dumps({"meta": {"things": {"all": len(self.rows)}}}).encode()
        since = request.query.get("changed[gte]", "")
        rows = [row for row in self.rows if str(row["last_changed_date"]) >= since]
        first = int(request.query["from"])
        return json.dumps(rows[first : first + int(request.query["at-most"])]).encode()


@pytest.fixture
def source() -> Iterator[fs.Source]:
    with fs.serving(Elsewhere(fs.make_rows(45))) as source:
        yield source


def fetch(source: fs.Source, api: Rest | None, landing: Path, **options: Any) -> tuple[int | None, list]:
    """Return the source's own count of its rows, and the rows that it sent."""
    dataset, since = replace(PLAYER, api=api), options.pop("since", "")
    read = rest.RestSource(source.connection(), dataset, since, landing=landing, patience=QUICK, **options)
    rows: list[object] = []
    for item in read.batches():
        assert isinstance(item, RawBatch)
        rows += item.received
    return read.ending().source_count, rows


def queries(source: fs.Source) -> list[dict[str, str]]:
    return [request.query for request in source.requests if request.path == "/v2/things"]


def test_pages_are_asked_for_in_the_declared_words(source: fs.Source, tmp_path: Path) -> None:
    assert fetch(source, THINGS, tmp_path) == (45, source.rows)
    assert queries(source) == [{"from": str(first), "at-most": "20"} for first in (0, 20, 40, 45)]
    assert {request.path for request in source.requests} == {"/v2/things", "/v2/stats"}


def test_changes_are_asked_for_in_the_declared_words(source: fs.Source, tmp_path: Path) -> None:
    since = sorted(str(row["last_changed_date"]) for row in source.rows)[30]
    total, rows = fetch(source, THINGS, tmp_path, since=since, page_size=100)
    assert rows == [row for row in source.rows if str(row["last_changed_date"]) >= since]
    assert queries(source)[0] == {"from": "0", "at-most": "100", "changed[gte]": since}
    assert total == 45


def test_an_api_without_since_is_read_as_a_whole(source: fs.Source, tmp_path: Path) -> None:
    whole = replace(THINGS, since=None)
    _, rows = fetch(source, whole, tmp_path)
    assert rows == source.rows
    with pytest.raises(
        UsageError, match=r"`since` is '2024-01-01', but the API of dataset 'player' has no since"
    ):
        fetch(source, whole, tmp_path, since="2024-01-01")


def test_a_dataset_without_an_api_is_named(source: fs.Source, tmp_path: Path) -> None:
    reason = r"dataset 'player' has no api; add api=Rest\(...\) to datasets/player.py"
    with pytest.raises(UsageError, match=reason):
        fetch(source, None, tmp_path)


def test_without_a_total_everything_is_read_and_said_not_to_be_proven(
    source: fs.Source, tmp_path: Path
) -> None:
    dataset = replace(PLAYER, api=replace(THINGS, total=None))
    read = rest.RestSource(source.connection(), dataset, "", landing=tmp_path, patience=QUICK)
    rows = [row for batch in read.batches() if isinstance(batch, RawBatch) for row in batch.received]
    assert rows == source.rows
    assert read.ending().source_count is None
    assert read.ending().notes[1:] == [
        "read to its end; nothing proves that this is all, because the source gives no total of it"
    ]


def test_a_count_that_is_not_where_it_is_declared_is_named(source: fs.Source, tmp_path: Path) -> None:
    api = replace(THINGS, total=Total("meta.things.none", "v2/stats"))
    with pytest.raises(Exception, match=r"has no number at 'meta.things.none'; compare it with `at` of the"):
        fetch(source, api, tmp_path)


NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
DECLARATION = (Path(__file__).parent.parent / "datasets" / "player.py").read_text()


@pytest.fixture
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a home with the notebooks, whose declaration a test may change."""
    (home / "notebooks").rmdir()
    (home / "notebooks").symlink_to(NOTEBOOKS)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2024-09-24")
    yield home
    session._leave()


def declare(project: Path, old: str, new: str) -> None:
    assert old in DECLARATION
    (project / "datasets" / "player.py").write_text(DECLARATION.replace(old, new))


def test_an_empty_file_conn_id_is_that_of_the_declaration(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(project, f'Files("{FILES}")', 'Files("elsewhere")')
    monkeypatch.setenv(
        variable("elsewhere"), json.dumps({"conn_type": "fs", "extra": {"path": "/none/here"}})
    )
    run = session.join_run("bulk_load", {"file_conn_id": ""})
    with pytest.raises(Exception, match="/none/here"):
        extract.open_bulk(run, "players.parquet", "")


def test_an_empty_api_conn_id_is_that_of_the_declaration(
    project: Path, source: fs.Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(project, f'conn_id="{API}"', 'conn_id="elsewhere"')
    monkeypatch.setenv(variable("elsewhere"), f"{source.url}/nowhere")
    run = session.join_run("api_incremental_update", {"api_conn_id": ""})
    with pytest.raises(Exception, match="connection 'elsewhere'"):
        extract.open_api(run, "")


def test_a_connection_that_nobody_names_is_asked_for(project: Path) -> None:
    declare(project, f'conn_id="{API}",', "")
    run = session.join_run("api_incremental_update", {"api_conn_id": ""})
    with pytest.raises(
        UsageError, match=r"api_conn_id is empty and dataset 'player' has no default connection"
    ):
        extract.open_api(run, "")


def test_a_run_does_not_depend_on_other_declarations(project: Path) -> None:
    (project / "datasets" / "broken.py").write_text("raise SystemExit('never read')\n")
    (project / "datasets" / "other.py").write_text(
        DECLARATION.replace('name="player"', 'name="other"').replace("PLAYER", "OTHER")
    )
    run = session.join_run("bulk_load", {})
    assert run.dataset == PLAYER
    assert not {"broken", "other"} & run.database.relations()


def test_a_run_keeps_the_declaration_that_it_began_with(project: Path) -> None:
    run = session.join_run("bulk_load", {})
    began: Dataset = run.dataset
    declare(project, 'key="player_id"', 'key="gsis_id"')
    assert run.dataset is began


def test_a_bad_declaration_is_named_before_the_run_begins(project: Path) -> None:
    declare(project, 'key="player_id"', 'key="id"')
    with pytest.raises(
        UsageError, match=r"player.py, line \d+: dataset 'player' uses undeclared columns \['id'\]"
    ):
        session.join_run("bulk_load", {})
