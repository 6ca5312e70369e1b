"""The command that drafts a declaration: from a file or an API to a table that loads, without a hand."""

import bz2
import gzip
import json
import shutil
import subprocess
import sysconfig
import threading
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from notebook_pipeline import settings
from notebook_pipeline.commands.main import main
from notebook_pipeline.connections import FILES, resolve, variable
from notebook_pipeline.contract.check_batch import check_batch
from notebook_pipeline.declare import Dataset, catalogue
from notebook_pipeline.sources.files.bulk_file import fetch_bulk, read_batches
from sample.api_server import running

Write = Callable[[Path], object]
Rows = list[dict[str, Any]]
RUFF = Path(sysconfig.get_path("scripts"), "ruff")


def text(content: str, encoding: str = "utf-8") -> Write:
    return lambda path: path.write_bytes(content.encode(encoding))


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.csv", "id,name\n1,a\n2,b\n")


def bzipped(path: Path) -> None:
    path.write_bytes(bz2.compress(b"id,n\n1,2\n2,2\n"))


GERMAN = (
    "Kundennr;Name;PLZ;Betrag;Geändert am;Bemerkung\r\n"
    '1;Müller;01067;1,50;31.12.2024;"Zeile ""1""\r\nZeile; 2"\r\n'
    "2;Größe;99999;n/a;01.02.2024;\r\n"
    "3;Weiß;00501;-;13.02.2024;x\r\n"
)
STATISTICS = (
    "\ufeffStatistics of the city, 2024\nSource: office\n\nyear;district;people;share\n"
    "2022;Mitte;82.014;12,5\n2022;Süd;5.326;7,1\n2023;Mitte;83.000;12,4\n2023;Süd;5.326;7,1\n"
)
ITEMS = [{"order": number // 2, "line": number % 2, "qty": 1, "tags": ["a"]} for number in range(6)]

CASES: dict[str, tuple[str, Write, str | tuple[str, ...], str | None, Rows]] = {
    "semicolons, Windows-1252, decimal commas": (
        "kunden.csv",
        text(GERMAN, "cp1252"),
        "Kundennr",
        "geändert_am",
        [
            {"Kundennr": 1, "Name": "Müller", "PLZ": "01067", "Betrag": 1.5, "geändert_am": "2024-12-31",
             "Bemerkung": 'Zeile "1"\r\nZeile; 2'},
            {"Kundennr": 2, "Name": "Größe", "PLZ": "99999", "Betrag": None, "geändert_am": "2024-02-01",
             "Bemerkung": None},
            {"Kundennr": 3, "Name": "Weiß", "PLZ": "00501", "Betrag": None, "geändert_am": "2024-02-13",
             "Bemerkung": "x"},
        ],
    ),
    "byte order mark, title, thousands, key of two columns": (
        "statistics.csv",
        text(STATISTICS),
        ("year", "district"),
        None,
        [
            {"year": 2022, "district": "Mitte", "people": 82_014, "share": 12.5},
            {"year": 2022, "district": "Süd", "people": 5_326, "share": 7.1},
            {"year": 2023, "district": "Mitte", "people": 83_000, "share": 12.4},
            {"year": 2023, "district": "Süd", "people": 5_326, "share": 7.1},
        ],
    ),
    "tabs, truth values, moments": (
        "things.tsv",
        text("id\tactive\tupdated_at\n1\tTrue\t2024-01-01T10:00:00+02:00\n2\tfalse\t2024-01-01T10:00:00Z\n"),
        "id",
        "updated_at",
        [
            {"id": 1, "active": True, "updated_at": "2024-01-01 08:00:00.000000"},
            {"id": 2, "active": False, "updated_at": "2024-01-01 10:00:00.000000"},
        ],
    ),
    "no header, pipes": (
        "plain.txt",
        text("7|2024-02-01|0.5\n8|2024-02-02|1\n"),
        "column_1",
        None,
        [
            {"column_1": 7, "column_2": "2024-02-01", "column_3": 0.5},
            {"column_1": 8, "column_2": "2024-02-02", "column_3": 1.0},
        ],
    ),
    "escapes, an index without a name": (
        "index.csv",
        text(',code,text\n0,a,"say \\"hi\\", you"\n1,b,"plain, too"\n'),
        "code",
        None,
        [{"code": "a", "text": 'say "hi", you'}, {"code": "b", "text": "plain, too"}],
    ),
    "UTF-16": ("wide.csv", text("id;größe\n1;é\n2;ü\n", "utf-16"), "id", None,
               [{"id": 1, "größe": "é"}, {"id": 2, "größe": "ü"}]),
    "JSON lines, gzip": (
        "items.jsonl.gz",
        lambda path: path.write_bytes(gzip.compress(lines(ITEMS).encode())),
        ("order", "line"),
        None,
        [{**item, "tags": '["a"]'} for item in ITEMS],
    ),
    "JSON list": (
        "list.json",
        text('[{"id": "x1", "n": 1, "changed_on": "2024-05-01"}, {"id": "x2", "changed_on": "2024-05-02"}]'),
        "id",
        "changed_on",
        [
            {"id": "x1", "n": 1, "changed_on": "2024-05-01"},
            {"id": "x2", "n": None, "changed_on": "2024-05-02"},
        ],
    ),
    "CSV in bz2": ("packed.csv.bz2", bzipped, "id", None, [{"id": 1, "n": 2}, {"id": 2, "n": 2}]),
    "CSV in a zip archive": ("packed.csv.zip", zipped, "id", None,
                             [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]),
}  # fmt: skip


@pytest.fixture
def base(home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder outside of the home, in which the command is run."""
    folder = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NOTEBOOK_PIPELINE_TODAY", "2025-01-01")
    return folder


def loaded(dataset: Dataset, source: str, cache: Path) -> Rows:
    """Return the rows of a file as the contract accepts them; none may be rejected."""
    bulk = fetch_bulk(source, resolve(FILES), cache, dataset)
    checked = [check_batch(raw, dataset, settings.today()) for raw in read_batches(bulk, dataset)]
    assert [reason for one in checked for row in one.rejected for reason in row.reasons] == []
    return [row for one in checked for row in one.good.to_pylist()]


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_declared_and_loads_as_it_is(
    case: str, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, write, key, cursor, rows = CASES[case]
    write(base / name)
    assert main(["declare", "own", "--file", name]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"copied {base / name} to {settings.data() / name}"
    assert said[-2:] == [
        f"  notebook-pipeline run bulk_load -p dataset own -p source {name}",
        "  notebook-pipeline run data_quality -p dataset own",
    ]
    dataset = catalogue.get("own")
    assert (dataset.key, dataset.cursor) == (key, cursor)
    assert [_shown(row) for row in loaded(dataset, name, base / "cache")] == rows
    path = settings.datasets() / "own.py"
    for check in (["format", "--check"], ["format", "--check", "--line-length=110"], ["check", "--ignore=I"]):
        done = subprocess.run([RUFF, *check, "--isolated", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return value.isoformat() if isinstance(value, date) else value


def test_every_type_of_a_parquet_file_is_declared(base: Path) -> None:
    moment, day = datetime(2024, 1, 1, 1, tzinfo=UTC), date(2024, 1, 1)
    columns = {
        "i8": pa.array([1, 2], pa.int8()),
        "u64": pa.array([1, 1], pa.uint64()),
        "f32": pa.array([1.5, None], pa.float32()),
        "truth": pa.array([True, False]),
        "money": pa.array([Decimal("1.20")] * 2, pa.decimal128(10, 2)),
        "wide": pa.array([Decimal("1.20")] * 2, pa.decimal128(38, 2)),
        "huge": pa.array([Decimal("12345678901234567890.20")] * 2, pa.decimal128(38, 2)),
        "day": pa.array([day] * 2, pa.date64()),
        "local": pa.array([moment.replace(tzinfo=None)] * 2, pa.timestamp("ns")),
        "zoned": pa.array([moment] * 2, pa.timestamp("ms", "Europe/Berlin")),
        "clock": pa.array([time(1)] * 2, pa.time32("s")),
        "words": pa.array(["x"] * 2, pa.large_string()),
        "coded": pa.array(["p", "q"]).dictionary_encode(),
        "bytes": pa.array([b"ab"] * 2, pa.binary(2)),
        "list": pa.array([[1]] * 2),
        "map": pa.array([[("k", 1)]] * 2, pa.map_(pa.string(), pa.int64())),
        "nothing": pa.nulls(2),
        "length": pa.array([1, 2], pa.duration("s")),
    }
    parquet.write_table(pa.table(columns), base / "all.parquet")
    assert main(["declare", "own", "--file", "all.parquet"]) == 0
    dataset = catalogue.get("own")
    assert [str(one.type) for one in dataset.columns] == [
        *("int8", "uint64", "float", "bool", "decimal128(10, 2)", "decimal128(15, 2)", "string"),
        *("date32[day]", "timestamp[us, tz=UTC]", "timestamp[us, tz=UTC]", "time64[us]", "string", "string"),
        *("binary", "extension<arrow.json>", "extension<arrow.json>", "string"),
    ]
    assert dataset.ignored == ("length",)
    assert len(loaded(dataset, "all.parquet", base / "cache")) == 2


def test_the_declaration_is_laid_out_and_each_guess_is_marked(base: Path) -> None:
    (base / "kunden.csv").write_bytes(GERMAN.encode("cp1252"))
    assert main(["declare", "kunden", "--file", "kunden.csv"]) == 0
    assert (
        (settings.datasets() / "kunden.py").read_text()
        == '''\
"""The table kunden, drafted from kunden.csv."""

import pyarrow as pa

from notebook_pipeline.declare import (
    Column,
    Dataset,
    EveryRow,
    Files,
    NotInFuture,
    NotNull,
    RejectedShare,
    RowCount,
    Unique,
    UsualRowCount,
)

KUNDEN = Dataset(
    name="kunden",
    columns=(
        Column("Kundennr", pa.int64(), nullable=False),
        Column("Name", pa.string(), nullable=False),
        Column("PLZ", pa.string(), nullable=False),
        Column("Betrag", pa.float64()),
        Column(
            "geändert_am",
            pa.date32(),
            nullable=False,
            at="Geändert am",
            format="%d.%m.%Y",
        ),
        Column("Bemerkung", pa.string()),
    ),
    # Decide: is this the key? Also unique in the 3 rows seen: Name, PLZ, geändert_am
    key="Kundennr",
    # Decide: is this when a row last changed, by its name?
    cursor="geändert_am",
    # Decide: the text is not UTF-8; is 'Geändert' right in cp1252?
    files=Files(delimiter=";", encoding="cp1252", decimal=",", nulls=("", "-", "n/a")),
    rules=(
        # Decide: may one of these be null in other files? Then remove its NotNull and
        #   nullable=False
        NotNull("Kundennr"),
        NotNull("Name"),
        NotNull("PLZ"),
        NotNull("geändert_am"),
        NotInFuture("geändert_am"),
        # Decide: which numbers are possible?
        # Seen: Range("Betrag", low=1.5, high=1.5)
    ),
    checks=(
        RowCount(low=1),
        Unique("Kundennr"),
        EveryRow(NotNull("Kundennr")),
        EveryRow(NotNull("Name")),
        EveryRow(NotNull("PLZ")),
        EveryRow(NotNull("geändert_am")),
        EveryRow(NotInFuture("geändert_am")),
        UsualRowCount("drop", severity="warn"),
        RejectedShare(max_percent=1.0, severity="warn"),
        # Decide: how old may the newest geändert_am be? Then add Fresh(max_days=…)
    ),
)
'''
    )


def test_three_commands_lead_from_a_file_to_a_checked_table(
    base: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "notebooks").rmdir()
    shutil.copytree(settings.CHECKOUT / "notebooks", home / "notebooks")
    (base / "kunden.csv").write_bytes(GERMAN.encode("cp1252"))
    assert main(["declare", "kunden", "--file", "kunden.csv"]) == 0
    for command in capsys.readouterr().out.splitlines()[-2:]:
        assert main([*command.split()[1:], "--json"]) == 0
        finished = json.loads(capsys.readouterr().out)
        assert finished["status"] == "success"
        assert finished["result"].get("rows_inserted", 3) == 3


REFUSED = {
    "a bad name": (["Own", "--file", "a.csv"], "use lowercase letters"),
    "a name of the engine": (["watermark", "--file", "a.csv"], "the name of a bookkeeping table"),
    "a name that is taken": (["player", "--file", "a.csv"], "player.py exists already; choose another name"),
    "no file": (["own", "--file", "none.csv"], "found no such file"),
    "a folder": (["own", "--file", "folder"], "found a folder, expected one file"),
    "an empty file": (["own", "--file", "empty.csv"], "the file is empty"),
    "an empty archive": (["own", "--file", "empty.csv.gz"], "contains no data"),
    "a header alone": (["own", "--file", "header.csv"], "found no rows"),
    "another format": (["own", "--file", "page.pdf"], "found a PDF document"),
    "rows within an object": (["own", "--file", "nested.json"], "one object with the list 'rows' in it"),
    "no source": (["own"], "one of the arguments --file --api is required"),
    "no endpoint": (["own", "--api", "mine"], "expected CONN/ENDPOINT"),
    "no connection": (["own", "--api", "mine/things"], "no connection 'mine'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_declared_is_refused(
    case: str, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (base / "folder").mkdir()
    (base / "a.csv").write_text("id\n1\n")
    (base / "empty.csv").touch()
    (base / "empty.csv.gz").write_bytes(gzip.compress(b""))
    (base / "header.csv").write_text("id,name\n")
    (base / "page.pdf").write_bytes(b"%PDF-1.7\n")
    (base / "nested.json").write_text('{"rows": [{"id": 1}], "next": null}\n')
    arguments, reason = REFUSED[case]
    before = (settings.datasets() / "player.py").read_text()
    assert main(["declare", *arguments]) == 2
    assert reason in capsys.readouterr().err
    assert [path.name for path in settings.datasets().glob("*.py")] == ["player.py"]
    assert (settings.datasets() / "player.py").read_text() == before


def test_a_declaration_is_overwritten_if_that_is_asked_for(base: Path) -> None:
    (base / "a.csv").write_text("id,n\n1,2\n")
    assert main(["declare", "player", "--file", "a.csv", "--force"]) == 0
    assert catalogue.get("player").schema.names == ["id", "n"]


def test_a_file_below_data_stays_where_it_is(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (settings.data() / "in here").mkdir(parents=True)
    (settings.data() / "in here" / "a.csv").write_text("id,n\n1,2\n")
    assert main(["declare", "own", "--file", "data/in here/a.csv"]) == 0
    said = capsys.readouterr().out
    assert "copied" not in said
    assert "-p source 'in here/a.csv'" in said


def test_a_file_at_an_address_is_fetched(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (base / "a.csv").write_text("id,n\n1,2\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(base)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/a.csv"
    assert main(["declare", "own", "--file", f"{url}?version=7"]) == 0
    server.shutdown()
    server.server_close()
    assert f"copied {url} to {settings.data() / 'a.csv'}\n" in capsys.readouterr().out
    assert loaded(catalogue.get("own"), "a.csv", base / "cache") == [{"id": 1, "n": 2}]


def test_another_file_of_the_same_name_is_never_overwritten(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.data().mkdir()
    (settings.data() / "a.csv").write_text("id\n1\n")
    (base / "a.csv").write_text("id\n2\n")
    assert main(["declare", "own", "--file", str(base / "a.csv")]) == 2
    assert "exists, with another content" in capsys.readouterr().err
    assert (settings.data() / "a.csv").read_text() == "id\n1\n"


def test_an_api_is_declared_with_its_pages_and_its_filter(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running() as url:
        monkeypatch.setenv(variable("mine"), url)
        assert main(["declare", "people", "--api", "mine/v0/players/"]) == 0
    said = capsys.readouterr().out
    assert "run api_incremental_update -p dataset people -p api_conn_id mine" in said
    dataset = catalogue.get("people")
    assert (dataset.key, dataset.cursor, dataset.ignored) == (
        "player_id",
        "last_changed_date",
        ("performances",),
    )
    api = dataset.declared_api()
    assert str(api.pages) == "Offset(offset='skip', limit='limit')"
    assert api.since
    assert (api.endpoint, api.conn_id, api.since.param, api.since.form) == (
        "v0/players/",
        "mine",
        "minimum_last_changed_date",
        "day",
    )
    text = (settings.datasets() / "people.py").read_text()
    assert "# Decide: does /v0/counts/ tell the number of rows?" in text
