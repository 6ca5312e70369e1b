"""A dataset unlike the players goes the whole way by its declaration alone: text key, numbers, gaps."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import databases
import pyarrow as pa
import pytest
from failing_server import Row, Source, serving
from place import PLACE
from pyarrow import parquet

from notebook_pipeline import checks
from notebook_pipeline.checks import pictures, results_table
from notebook_pipeline.connections import API, DATABASE, FILES, variable
from notebook_pipeline.review.trace import trace_row
from notebook_pipeline.steps import extract, plots, session
from notebook_pipeline.steps.load import Load
from notebook_pipeline.steps.load_transaction import transaction
from notebook_pipeline.steps.rejection_limits import Limits

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
ANY_NUMBER = Limits(max_rejected_percent=100.0)
FILE = """\
name,height,people,founded,kind,last_changed_date
Ünterstadt,12.5,300,1200-05-06,town,2024-03-01
"Bad ""Q"", am See",-3,,,,2024-03-01
𝔘rbs,,,,city,2024-03-02
Dead Sea,-430.6,,,,2024-03-02
Nowhere,nan,,,,2024-03-02
O'Hara,1e2,9007199254740993,,town,2024-03-02
"""


def place(name: str, height: float | None, day: str, **more: object) -> Row:
    return {
        **dict.fromkeys(PLACE.schema.names),
        "name": name,
        "height": height,
        "last_changed_date": day,
        **more,
    }


OLD = place("Ünterstadt", 12.5, "2024-03-01", people=300, founded="1200-05-06", kind="town")
SAME = place("O'Hara", 100, "2024-03-02", people=9007199254740993, kind="town")
NEWER, NEW = place("𝔘rbs", 7, "2024-03-05"), place("Nowhere", None, "2024-03-05")
REFUSED = place("Bad", -431, "2024-03-08")


@pytest.fixture
def declared(each_database: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Declare the places and nothing else, in a database of each kind; their file is published."""
    (home / "datasets" / "player.py").unlink()
    shutil.copy(Path(__file__).with_name("place.py"), home / "datasets")
    monkeypatch.setenv(variable(DATABASE), databases.connection(home).to_json())
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2024-03-09")
    (home / "notebooks").rmdir()
    (home / "notebooks").symlink_to(NOTEBOOKS)
    (home / "data").mkdir()
    (home / "data" / "places.csv").write_text(FILE, encoding="utf-8")
    yield
    session._leave()


@pytest.fixture
def source(declared: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    with serving(Source([OLD, SAME, NEWER, NEW, REFUSED])) as source:
        monkeypatch.setenv(variable(API), source.url)
        yield source


def bulk(name: str) -> tuple[str, dict[str, object]]:
    run = session.join_run("bulk_load", {"dataset": "place"})
    opened = extract.open_bulk(run, name, FILES)
    with transaction(run, opened.origin, ANY_NUMBER) as merged:
        merged.merge(opened.batches)
        if opened.shows_missing:
            merged.compare_keys(opened.keys, delete=True, max_deleted_percent=100.0)
    return finished(run, merged)


def update(*, full_sweep: bool = False) -> tuple[str, dict[str, object]]:
    run = session.join_run("api_incremental_update", {"dataset": "place"})
    opened = extract.open_api(run, API, full_sweep=full_sweep, page_size=2)
    with transaction(run, opened.origin, ANY_NUMBER) as merged:
        merged.merge(opened.batches)
        if opened.shows_missing:
            merged.compare_keys(opened.keys, delete=True, max_deleted_percent=100.0)
    return finished(run, merged)


def finished(run: session.Session, merged: Load) -> tuple[str, dict[str, object]]:
    """Close a run; return its id and those of its counts that are not 0."""
    run.finish(merged.result())
    return run.run_id, {name.removeprefix("rows_"): count for name, count in merged.counts().items() if count}


def stored() -> list[tuple]:
    run = session.join_run("bulk_load", {"dataset": "place"})
    return run.database.execute(
        "SELECT name, height, people, founded, kind, last_changed_date, _source FROM place ORDER BY name"
    )


def test_a_file_an_update_and_a_sweep(source: Source, home: Path) -> None:
    first, counts = bulk("places.csv")
    assert counts == {"read": 6, "inserted": 4, "rejected": 2}
    assert stored() == [
        ('Bad "Q", am See', -3.0, None, None, None, "2024-03-01", "bulk"),
        ("O'Hara", 100.0, 9007199254740993, None, "town", "2024-03-02", "bulk"),
        ("Ünterstadt", 12.5, 300, "1200-05-06", "town", "2024-03-01", "bulk"),
        ("𝔘rbs", None, None, None, "city", "2024-03-02", "bulk"),
    ]
    assert update()[1] == {"read": 4, "inserted": 1, "updated": 1, "unchanged": 1, "rejected": 1}
    assert update(full_sweep=True)[1] == {"read": 5, "unchanged": 4, "rejected": 1, "deleted": 1}
    late = [
        place("Bad", 1, "2024-03-08"),
        place('Bad "Q", am See', 1, "2024-03-07"),
        place("New", 2, "2024-03-10"),
    ]
    parquet.write_table(pa.Table.from_pylist(late), home / "data" / "late.parquet")
    assert bulk("late.parquet")[1] == {"read": 3, "inserted": 2, "stale": 1}
    assert bulk(f"rejected:{first}")[1] == {"read": 2, "rejected": 2}
    assert stored() == [
        ("Bad", 1.0, None, None, None, "2024-03-08", "bulk"),
        ("New", 2.0, None, None, None, "2024-03-10", "bulk"),
        ("Nowhere", None, None, None, None, "2024-03-05", "api"),
        ("O'Hara", 100.0, 9007199254740993, None, "town", "2024-03-02", "api"),
        ("Ünterstadt", 12.5, 300, "1200-05-06", "town", "2024-03-01", "api"),
        ("𝔘rbs", 7.0, None, None, None, "2024-03-05", "api"),
    ]


@pytest.mark.usefixtures("declared")
def test_a_snapshot_deletes_what_it_lacks(home: Path) -> None:
    declaration = home / "datasets" / "place.py"
    snapshot = declaration.read_text().replace("    api=", "    files=Files(snapshot=True),\n    api=")
    declaration.write_text(snapshot.replace("import (", "import (\n    Files,"))
    assert bulk("places.csv")[1] == {"read": 6, "inserted": 4, "rejected": 2}
    lines = FILE.splitlines()
    (home / "data" / "next.csv").write_text("\n".join([*lines[:3], "Dead Sea,-430.6,,,,2024-03-02"]))
    assert bulk("next.csv")[1] == {"read": 3, "unchanged": 2, "rejected": 1, "deleted": 2}
    assert [row[0] for row in stored()] == ['Bad "Q", am See', "Ünterstadt"]


@pytest.mark.usefixtures("declared")
def test_checks_pictures_and_origins() -> None:
    loaded, _ = bulk("places.csv")
    run = session.join_run("data_quality", {"dataset": "place"})
    report = checks.run_checks(run.database, PLACE)
    checks.save(run.database, run.run_id, report)
    assert [(result.measured, result.outcome) for result in report.results] == [
        ("4 rows", "passed"),
        ("0 rows have duplicate values (unique index)", "passed"),
        ("1 of 4 rows failed", "warning"),
        ("0 of 4 rows failed", "passed"),
        ("0 of 4 rows failed", "passed"),
        ("2024-03-02, 7 days before 2024-03-09", "passed"),
    ]
    assert "𝔘rbs" in repr(results_table.show_failing_rows(report))
    changes = checks.recent_changes(run.database, PLACE)
    assert [repr(pictures.measured_over_runs(report)), repr(pictures.mixes(report))] == [
        "place has no value to compare between runs",
        "place has no mix of values to compare",
    ]
    assert repr(plots.changes_per_day(changes, PLACE)).startswith("Changes came in on 2 of the last 28 days")
    trace = trace_row(run.database, "place", "O'Hara")
    assert trace
    assert trace.run
    assert trace.run["run_id"] == loaded
    assert trace_row(run.database, "place", "Dead Sea") is None
