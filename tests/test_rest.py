"""An extraction is complete or failed, never half, whatever the server does."""

import gc
import json
import operator
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import failing_server as fs
import pyarrow as pa
import pytest
from declared import PLAYER
from seeds import fresh
from waiting import until

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.check_batch import check_batch
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.sources.http import page_fetcher, rest
from notebook_pipeline.sources.http.page_parser import Parser
from notebook_pipeline.sources.http.page_reader import Reached
from notebook_pipeline.sources.http.retries import Patience
from notebook_pipeline.sources.source import BeginAgain
from sample.players import SAMPLE_TODAY

QUICK = Patience(tries=3, backoff=0.001, jitter=0.001, budget=60, retry_after_max=0)
HASTY = replace(QUICK, silence=0.3)
# A busy machine may be silent for as long now and then, but not on every try.
STUBBORN = replace(QUICK, silence=1, tries=20)
SIZE = 10
SECRET = "s3cret-Passw0rd-of-the-api"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let folders that nobody names be made, and go, with the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def source():
    with fs.serving(fs.Source(fs.make_rows(45))) as source:
        yield source


class Batches(list[RawBatch]):
    """Keep what is read in memory."""

    @property
    def rows(self) -> list:
        return [row for batch in self for row in batch.received]


@dataclass(frozen=True)
class Fetched:
    """Hold what was read beside what is known of it as a whole."""

    url: str
    day: str
    pages: int
    pages_landed_before: int
    rows: int
    keys: pa.Array
    rows_without_key: int
    total: int
    readings: int
    unknown_fields: list[str]
    batches: Batches
    notes: list[str]


def fetch(source: fs.Source, landing: Path | None = None, **options) -> Fetched:
    options = {"page_size": SIZE, "patience": QUICK} | options
    connection = source.connection(login="ann", password=SECRET)
    batches = Batches()
    landing = landing or Path(tempfile.mkdtemp())
    read = rest.RestSource(connection, PLAYER, options.pop("since", ""), landing=landing, **options)
    for item in read.batches():
        if isinstance(item, BeginAgain):
            batches.clear()
        else:
            batches.append(item)
    reading, ending = read.reader.reading, read.ending()
    return Fetched(
        url=read.name,
        day=read.landing.day,
        pages=reading.pages,
        pages_landed_before=read.reader.pages_landed_before,
        rows=reading.rows,
        keys=ending.keys,
        rows_without_key=reading.keys.without_key,
        total=ending.source_count or 0,
        readings=read.landing.reading,
        unknown_fields=read.undeclared,
        batches=batches,
        notes=list(ending.notes),
    )


def rows_of(fetched: Fetched) -> list:
    return fetched.batches.rows


def by_key(rows: list) -> list:
    return sorted(rows, key=lambda row: row["player_id"])


def skips(source: fs.Source) -> list[int]:
    return [request.skip for request in source.pages_asked]


# What an extraction is


def test_pages_are_read_until_an_empty_one(source: fs.Source):
    extraction = fetch(source)
    assert rows_of(extraction) == source.rows
    assert (extraction.pages, extraction.rows, extraction.total, extraction.readings) == (5, 45, 45, 1)
    assert extraction.keys.to_pylist() == [row["player_id"] for row in source.rows]
    assert extraction.rows_without_key == 0
    assert extraction.unknown_fields == []
    assert skips(source) == [0, 10, 20, 30, 40, 45]


def test_garbage_collection_goes_on_after_parsing(source: fs.Source):
    source.failures[1] = fs.instead(b'[{"player_id": 1,]')
    with pytest.raises(PipelineError):
        fetch(source)
    assert gc.isenabled()


def test_rows_have_positions(source: fs.Source):
    batches = fetch(source).batches
    assert [batch.position(index) for batch in batches[:2] for index in (0, 4)] == [
        "page 0, row 0",
        "page 0, row 4",
        "page 1, row 0",
        "page 1, row 4",
    ]


def test_each_page_is_landed_before_it_is_parsed(
    source: fs.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    landed = []

    class Watched(Parser):
        def parse(self, body: bytes, page: int) -> RawBatch | None:
            landed.append((page, len(list(tmp_path.glob("page-*")))))
            return super().parse(body, page)

    monkeypatch.setattr(page_fetcher, "Parser", Watched)
    fetch(source, tmp_path)
    assert landed == [(page, page + 1) for page in range(6)]


def test_the_next_page_is_on_its_way_while_the_last_is_used(source: fs.Source):
    def wait_for_next(reached: Reached) -> None:
        # The first page is read alone, to learn its size; the last one is too small to guess on.
        if reached.pages in (2, 3, 4):
            until(lambda: len(source.pages_asked) > reached.pages, pause=0.001)

    assert rows_of(fetch(source, progress=wait_for_next)) == source.rows


def test_only_what_changed_since_a_day_is_asked_for_the_day_included(source: fs.Source):
    day = sorted(str(row["last_changed_date"]) for row in source.rows)[30]
    expected = [row for row in source.rows if str(row["last_changed_date"]) >= day]
    assert rows_of(fetch(source, since=day)) == expected
    assert {request.query["minimum_last_changed_date"] for request in source.pages_asked} == {day}
    assert min(str(row["last_changed_date"]) for row in expected) == day


def test_a_full_sweep_asks_for_everything(source: fs.Source):
    assert rows_of(fetch(source, since="2024-09-20", full_sweep=True)) == source.rows
    assert not any("minimum_last_changed_date" in request.query for request in source.pages_asked)


def test_nothing_changed_is_an_empty_extraction(source: fs.Source):
    extraction = fetch(source, since="2030-01-01")
    assert (rows_of(extraction), extraction.pages, extraction.rows, extraction.total) == ([], 0, 0, 45)
    assert len(extraction.keys) == 0


def test_progress_is_told_by_pages_with_the_total_where_it_is_known(source: fs.Source):
    told: list[Reached] = []
    fetch(source, progress=told.append)
    assert told == [Reached(pages, min(pages * 10, 45), 45) for pages in range(1, 6)]
    told.clear()
    fetch(source, since="2000-01-01", progress=told.append)
    assert {reached.total for reached in told} == {None}


def test_fields_that_nobody_declared_are_named_once(source: fs.Source):
    for row in source.rows[20:]:
        row["shoe_size"] = 45
    source.rows[44]["agent"] = None
    assert fetch(source).unknown_fields == ["agent", "shoe_size"]


def test_rows_without_a_key_are_counted(source: fs.Source):
    source.rows[3]["player_id"] = "p1004"
    source.rows[13]["player_id"] = None
    del source.rows[23]["player_id"]
    extraction = fetch(source, full_sweep=True)
    assert rows_of(extraction) == source.rows
    assert (len(extraction.keys), extraction.rows_without_key) == (42, 3)


@pytest.mark.parametrize(
    "answer", [b"{}", b'{"player_count": "many"}', b'{"player_count": -1}', b'{"player_count": true}']
)
def test_counts_that_count_nothing_fail(source: fs.Source, answer: bytes):
    source.answer = lambda request: answer  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(PipelineError, match="which has no number at 'player_count'"):
        fetch(source)


@pytest.mark.parametrize("answer", [b'{"player_count": "45"}', b'{"player_count": 45.0}'])
def test_counts_of_other_types_count(source: fs.Source, answer: bytes):
    whole = source.answer
    source.answer = lambda request: answer if request.path == "/v0/counts/" else whole(request)  # pyright: ignore[reportAttributeAccessIssue]
    assert fetch(source, full_sweep=True).total == 45


def test_a_count_of_null_is_none(source: fs.Source):
    whole = source.answer
    null = b'{"player_count": null}'
    source.answer = lambda request: null if request.path == "/v0/counts/" else whole(request)  # pyright: ignore[reportAttributeAccessIssue]
    assert rows_of(fetch(source, full_sweep=True)) == source.rows


def test_a_page_size_below_zero_is_refused(source: fs.Source):
    with pytest.raises(UsageError, match="`page_size` must be 1 or more, got -1"):
        fetch(source, page_size=-1)


# Pages that move


def test_a_limit_that_is_capped_silently_loses_nothing(source: fs.Source):
    source.cap = 7
    assert rows_of(fetch(source)) == source.rows
    assert skips(source) == [0, 7, 14, 21, 28, 35, 42, 45]


def test_a_wrong_guess_of_the_next_page_loses_nothing(source: fs.Source):
    sizes = {15: 14}
    whole = source.answer

    def answer(request: fs.Request) -> bytes:
        rows = json.loads(whole(request))
        return json.dumps(rows[: sizes.get(request.skip)] if isinstance(rows, list) else rows).encode()

    def wait_for_the_guess(handler: fs.Handler, body: bytes) -> None:
        if "skip=44&" in handler.path:
            until(lambda: 43 in skips(source))
        handler.send(body)

    source.answer = answer  # pyright: ignore[reportAttributeAccessIssue]
    source.always = wait_for_the_guess
    assert rows_of(fetch(source, page_size=15)) == source.rows
    assert sorted(skips(source)) == [0, 15, 29, 43, 44, 45], "43 was guessed, 44 was right"


def new_row(source: fs.Source) -> fs.Row:
    return source.rows[0] | {"player_id": 9_000 + len(source.rows), "last_changed_date": "2024-09-23"}


def insert_first(source: fs.Source) -> None:
    source.rows.insert(0, new_row(source))


def insert_last(source: fs.Source) -> None:
    source.rows.append(new_row(source))


def remove_first(source: fs.Source) -> None:
    source.rows.pop(0)


def change_and_move_last(source: fs.Source) -> None:
    source.rows.append(source.rows.pop(0) | {"position": "K", "last_changed_date": "2024-09-23"})


def change_and_move_first(source: fs.Source) -> None:
    source.rows.insert(0, source.rows.pop() | {"position": "K", "last_changed_date": "2024-09-23"})


def reverse(source: fs.Source) -> None:
    source.rows.reverse()


MOVES = [insert_first, insert_last, remove_first, change_and_move_last, change_and_move_first, reverse]


CHANGES = [change_and_move_last, change_and_move_first]


@pytest.mark.parametrize(
    ("move", "when"),
    # A change after the last row was read is for the next run, which starts at that day.
    [(move, when) for move in MOVES for when in (1, 3, 5) if when < 5 or move not in CHANGES],
)
def test_rows_that_move_between_two_pages_are_read_again(source: fs.Source, move: Callable, when: int):
    source.before[when] = lambda: move(source)
    extraction = fetch(source)
    assert by_key(rows_of(extraction)) == by_key(source.rows)
    assert extraction.readings in (1, 2)
    assert extraction.total == len(source.rows)


def test_a_second_move_is_read_a_third_time(source: fs.Source, caplog: pytest.LogCaptureFixture):
    source.before = {2: lambda: insert_first(source), 8: lambda: insert_first(source)}
    extraction = fetch(source)
    assert by_key(rows_of(extraction)) == by_key(source.rows)
    assert extraction.readings == 3
    assert "came on page 1 and on page 2: reading again from page 0 (2 of 3)" in caplog.text


@pytest.mark.parametrize("full_sweep", [True, False])
def test_a_source_that_is_never_quiet_is_refused(source: fs.Source, full_sweep: bool):
    source.before = {number: lambda: insert_first(source) for number in range(1, 30)}
    with pytest.raises(PipelineError, match="rows moved between the pages in each of 3 readings"):
        fetch(source, full_sweep=full_sweep)


def test_rows_in_no_order_fail_after_three_readings(source: fs.Source, tmp_path: Path):
    dice = random.Random(1)  # noqa: S311
    source.before = {number: lambda: dice.shuffle(source.rows) for number in range(1, 100)}
    with pytest.raises(PipelineError, match="rows moved between the pages in each of 3 readings") as caught:
        fetch(source, tmp_path, page_size=4)
    assert f"GET {source.url}/v0/players/?skip=0&limit=4" in str(caught.value)
    source.before.clear()
    assert fetch(source, tmp_path).readings == 1, "a retry has three readings again"


def test_a_page_that_repeats_for_ever_fails(source: fs.Source):
    source.ignores_skip = True
    with pytest.raises(
        PipelineError, match="player_id 1001 came on page 0 and on page 1; check that the source"
    ):
        fetch(source)
    assert len(source.pages_asked) < 15


def test_a_last_page_that_repeats_is_the_end(source: fs.Source):
    def repeat_the_last(handler: fs.Handler, body: bytes) -> None:
        handler.send(json.dumps(source.rows[-10:]).encode() if body == b"[]" else body)

    source.rows.reverse()
    source.always = repeat_the_last
    assert set(fetch(source).keys.to_pylist()) == {row["player_id"] for row in source.rows}


def test_pages_that_never_end_fail(source: fs.Source):
    source.always = fs.endless
    with pytest.raises(
        PipelineError, match=r"\d+ different rows, but the source counts only 45 in all; compare"
    ):
        fetch(source, since="2024-01-01")
    assert len(source.pages_asked) < 15


def test_a_sweep_that_misses_rows_fails(source: fs.Source):
    source.total = 50
    with pytest.raises(PipelineError, match="received 45 rows, but the source counts 50"):
        fetch(source, full_sweep=True)
    assert fetch(source, since="2024-01-01").total == 50, "in an ordinary run that is for the checks to say"
    assert fetch(source).notes[1:] == ["received 45 rows, but the source counts 50"]


# Going on where it stopped


def test_a_retry_asks_only_for_pages_that_were_not_landed(source: fs.Source, tmp_path: Path):
    for stopped_at in range(6):
        landing = tmp_path / str(stopped_at)
        source.requests.clear()
        source.failures[stopped_at] = fs.status(400)
        with pytest.raises(PipelineError, match=f"page {stopped_at}: GET .*skip={min(stopped_at * 10, 45)}&"):
            fetch(source, landing)
        source.requests.clear()
        assert rows_of(fetch(source, landing)) == source.rows
        assert skips(source) == [0, 10, 20, 30, 40, 45][stopped_at:]


def test_an_extraction_that_is_whole_needs_no_server(source: fs.Source, tmp_path: Path):
    first = fetch(source, tmp_path)
    source.requests.clear()
    again = fetch(source, tmp_path)
    assert source.requests == []
    assert rows_of(again) == rows_of(first) == source.rows
    assert (again.rows, again.total, again.keys) == (first.rows, first.total, first.keys)


@pytest.mark.parametrize(
    "other", [{"follows": "run 7"}, {"since": "2000-01-01"}, {"page_size": 9}, {"full_sweep": True}]
)
def test_another_extraction_uses_no_page_of_this_one(source: fs.Source, tmp_path: Path, other: dict):
    fetch(source, tmp_path)
    source.requests.clear()
    assert rows_of(fetch(source, tmp_path, **other)) == source.rows
    assert skips(source)[0] == 0


def test_a_retry_reads_from_page_0_when_the_total_has_changed(source: fs.Source, tmp_path: Path):
    source.failures[3] = fs.status(400)
    with pytest.raises(PipelineError):
        fetch(source, tmp_path)
    remove_first(source)
    extraction = fetch(source, tmp_path)
    assert rows_of(extraction) == source.rows
    assert extraction.readings == 2


def test_a_landed_page_that_is_broken_is_fetched_again(source: fs.Source, tmp_path: Path):
    fetch(source, tmp_path)
    page = tmp_path / "page-000002.json.zst"
    page.write_bytes(page.read_bytes()[:20])
    source.requests.clear()
    assert rows_of(fetch(source, tmp_path)) == source.rows
    assert skips(source) == [20, 30, 40, 45]


def test_pages_after_one_that_has_another_size_now_are_fetched_again(source: fs.Source, tmp_path: Path):
    fetch(source, tmp_path)
    (tmp_path / "page-000002.json.zst").write_bytes(b"")
    source.cap = 7
    assert rows_of(fetch(source, tmp_path)) == source.rows


def test_a_page_for_which_there_is_no_room_is_named(source: fs.Source, tmp_path: Path):
    folder = tmp_path / "landing"

    def remove() -> None:
        while folder.exists():  # a page may land meanwhile
            shutil.rmtree(folder, ignore_errors=True)

    source.before[2] = remove
    with pytest.raises(
        PipelineError, match=rf"page [12]: GET .*cannot be written to {folder}: .*; check its free space"
    ):
        fetch(source, folder)


def test_a_page_fetched_anew_into_a_whole_extraction_is_held_to_the_total_again(
    source: fs.Source, tmp_path: Path
):
    fetch(source, tmp_path)
    (tmp_path / "page-000004.json.zst").unlink()
    remove_first(source)
    assert rows_of(fetch(source, tmp_path)) == source.rows


def test_a_page_that_is_no_json_is_not_landed(source: fs.Source, tmp_path: Path):
    source.failures[1] = fs.instead(b'[{"player_id": 1,]')
    with pytest.raises(
        PipelineError, match=r"page 1: GET .*200 \(application/json\) '\[{\"player_id\": 1,\]', which is no"
    ):
        fetch(source, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("page-*")) == ["page-000000.json.zst"]
    assert rows_of(fetch(source, tmp_path)) == source.rows


def test_what_makes_a_page_no_json_is_shown(source: fs.Source):
    source.failures[1] = fs.instead(json.dumps(source.rows).encode()[:-3] + b"oops}]")
    with pytest.raises(
        PipelineError, match=r"which is not a JSON list \(unexpected character.*near '.*oops}\]'\)"
    ):
        fetch(source)


BAD_VALUES = {
    "NaN": b"NaN",
    "bytes that are not UTF-8": b'"\xff"',
    "a lone surrogate": b'"\\ud800"',
    "an integer beyond 64 bits": b"123456789012345678901234567890",
}


@pytest.mark.parametrize("name", BAD_VALUES)
@pytest.mark.parametrize("field", ["first_name", "performances"])
def test_one_bad_value_spoils_at_most_its_row(source: fs.Source, name: str, field: str):
    def send(handler: fs.Handler, body: bytes) -> None:
        rows = json.loads(body)
        rows[3][field] = "BAD"
        handler.send(json.dumps(rows).encode().replace(b'"BAD"', BAD_VALUES[name]))

    source.failures[2] = send
    batches = fetch(source).batches
    checked, is_number = check_batch(batches[2], PLAYER, SAMPLE_TODAY), name.startswith("an integer")
    assert [len(check_batch(batch, PLAYER, SAMPLE_TODAY).rejected) for batch in batches] == [
        *(0, 0),
        int(field == "first_name" and not is_number),
        *(0, 0),
    ]
    if is_number and field == "first_name":
        assert "123456789012345678901234567890" in checked.good.column("first_name").to_pylist()


# The menu of failures: an extraction equals the source, or it failed and says where, what came and what to do


MENU: dict[str, fs.Failure] = {
    "429 seconds": fs.status(429, Retry_After="3600"),
    "429 date": fs.status(429, Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"),
    "429 zero": fs.status(429, Retry_After="0"),
    "429 nonsense": fs.status(429, Retry_After="a while"),
    "500": fs.status(500),
    "502": fs.status(502),
    "503": fs.status(503),
    "404": fs.status(404),
    "reset": fs.reset,
    "cut": fs.cut,
    "cut without length": fs.cut_without_length,
    "cut chunks": fs.cut_chunks,
    "stalled": fs.stall,
    "broken JSON": fs.instead(b'[{"player_id": 1,]'),
    "HTML": fs.instead(b"<!DOCTYPE html><title>Sign in</title>", "text/html"),
    "object": fs.instead(b'{"detail": "no list today"}'),
    "null": fs.instead(b"null"),
    "empty body": fs.instead(b""),
    "UTF-8 called latin-1": fs.encoded("utf-8", "application/json; charset=latin-1"),
    "UTF-8 with a mark": fs.encoded("utf-8-sig", "text/plain"),
    "UTF-16": fs.encoded("utf-16", "application/json; charset=utf-16"),
    "chunks": fs.chunks,
    "redirect in circles": fs.redirect("/v0/players/"),
}


def outcome(source: fs.Source, landing: Path | None = None, **options) -> str:
    """Return "equal" or "failed"; anything else is an assertion."""
    try:
        extraction = fetch(source, landing, **options)
    except PipelineError as error:
        message = str(error)
        assert f"GET {source.url}/v0/" in message, message
        assert "page" in message or "counts" in message, message
        assert message.count("; ") >= 1, f"what to do is missing: {message}"
        assert SECRET not in message
        return "failed"
    assert by_key(rows_of(extraction)) == by_key(source.rows)
    assert len(extraction.keys) + extraction.rows_without_key == len(source.rows)
    return "equal"


@pytest.mark.parametrize("page", [0, 2, 5])
@pytest.mark.parametrize("name", MENU)
def test_each_failure_once(source: fs.Source, name: str, page: int, tmp_path: Path):
    source.failures[page] = MENU[name]
    first = outcome(source, tmp_path, patience=STUBBORN if name == "stalled" else QUICK)
    is_permanent = name in ("broken JSON", "object") or (name == "404" and page == 0)
    assert first == ("failed" if is_permanent else "equal")
    assert outcome(source, tmp_path) == "equal", "the retry"


@pytest.mark.parametrize("name", MENU)
def test_each_failure_for_ever(source: fs.Source, name: str):
    source.always = MENU[name]
    fine = {"chunks", "UTF-8 called latin-1", "UTF-8 with a mark"}
    patience = HASTY if name == "stalled" else QUICK
    assert outcome(source, patience=patience) == ("equal" if name in fine else "failed")


CONTENT: dict[str, tuple[str, object]] = {
    "a new field": ("shoe_size", 45),
    "a null": ("first_name", None),
    "a number as text": ("player_id", "5001"),
    "a huge number": ("player_id", 2**70),
    "a year 9999": ("last_changed_date", "9999-12-31"),
    "no day": ("last_changed_date", "soon"),
    "an unknown position": ("position", "GOALIE"),
    "a list": ("first_name", ["A", "B"]),
    "an object": ("first_name", {"a": {"b": [1, 2, {}]}}),
    "odd text": ("first_name", 'a\u0000b\n"\\\U0001f600'),
}


@pytest.mark.parametrize("name", CONTENT)
def test_odd_content_arrives_as_it_was_sent(source: fs.Source, name: str):
    field, value = CONTENT[name]
    source.rows[12][field] = value
    if name == "a huge number":
        # Beyond 64 bits a JSON number is a float to every parser in use; what matters is that it is no key.
        assert fetch(source).rows_without_key == 1
    else:
        assert rows_of(fetch(source)) == source.rows


@pytest.mark.parametrize("value", [None, 7, "text", [1], True])
def test_a_row_that_is_no_object_arrives_as_it_was_sent(source: fs.Source, value: object):
    source.failures[1] = fs.changed(lambda rows: operator.setitem(rows, 0, value))  # pyright: ignore
    extraction = fetch(source)
    assert rows_of(extraction) == [*source.rows[:10], value, *source.rows[11:]]
    assert extraction.rows_without_key == 1


def test_a_missing_field_arrives_missing(source: fs.Source):
    del source.rows[12]["gsis_id"]
    assert "gsis_id" not in rows_of(fetch(source))[12]


def test_a_hundred_thousand_rows_in_one_page():
    rows: list[fs.Row] = [
        {"player_id": number, "last_changed_date": "2024-09-01"} for number in range(100_000)
    ]
    with fs.serving(fs.Source(rows)) as source:
        extraction = fetch(source, page_size=200_000, patience=Patience())
        assert rows_of(extraction) == rows
        assert extraction.pages == 1


# Seeded mixes


def play(seed: int, landing: Path) -> None:
    """Let failures, moves, caps and retries meet; each attempt is equal or failed, and at last one is equal.

    One kind of move a game: as many rows gone as come, between two pages, leave no trace to see.
    """
    dice = random.Random(seed)  # noqa: S311
    rows = fs.make_rows(dice.randrange(3, 60), seed)
    with fs.serving(fs.Source(rows, cap=dice.choice([3, 10, 10**9]))) as source:
        failures = dice.sample(range(40), k=dice.randrange(1, 7))
        source.failures = {number: MENU[dice.choice(list(MENU))] for number in failures}
        move = dice.choice([insert_first, insert_last, remove_first, reverse])
        source.before = {
            number: lambda: move(source) for number in dice.sample(range(40), k=dice.randrange(3))
        }
        options = {"full_sweep": dice.random() < 0.5, "page_size": dice.choice([1, 7, 100])}
        patience = replace(HASTY, tries=dice.choice([1, 3]), silence=1)
        kept = landing if dice.random() < 0.8 else None
        outcomes = [outcome(source, kept, patience=patience, **options)]
        while outcomes[-1] == "failed":
            outcomes.append(outcome(source, kept, patience=patience, **options))
            assert len(outcomes) < 50, f"seed {seed}: {source.failures} are left, and no attempt was whole"


@pytest.mark.parametrize("seed", range(12))
def test_a_small_mix_of_failures(seed: int, tmp_path: Path):
    play(seed, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", fresh(400))
def test_a_large_mix_of_failures(seed: int, tmp_path: Path):
    play(seed, tmp_path)


# Credentials


def test_no_credential_lands(source: fs.Source, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    source.failures = {0: fs.status(503), 3: fs.status(400)}
    with pytest.raises(PipelineError) as caught:
        fetch(source, tmp_path)
    landed = (tmp_path / "extraction.json").read_bytes()
    pages = sorted(tmp_path.glob("page-*"))
    assert len(pages) == 2
    for page in pages:
        with pa.input_stream(str(page), compression="zstd") as stream:
            landed += stream.read()
    assert b"first_name" in landed
    everything = f"{caught.value}{caplog.text}{landed!r}"
    assert SECRET not in everything
    assert source.requests[0].headers["authorization"].split(" ")[1] not in everything
