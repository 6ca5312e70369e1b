"""Each shape of an API gives the rows of its source, whatever happens while they are read."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import failing_server as fs
import pyarrow as pa
import pytest
from api_shapes import CURSOR, KEY, LARGEST, SHAPES, Answer, Api, Asked, Row, Shape, serving
from declared import PLAYER

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.check_batch import check_batch
from notebook_pipeline.declare import Column, Dataset, Offset, Rest, Since, Token, Total
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.http.rest import RestSource
from notebook_pipeline.sources.http.retries import Patience
from notebook_pipeline.sources.source import BeginAgain, Ending

QUICK = Patience(tries=3, backoff=0.001, jitter=0.001, budget=60, retry_after_max=0)
COUNT = 45
BY_NAME = {shape.name: shape for shape in SHAPES}

each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
UNPROVEN = "read to its end; nothing proves that this is all, because the source gives no total of it"


@pytest.fixture
def api(shape: Shape) -> Iterator[Api]:
    with serving(Api(shape, fs.make_rows(COUNT))) as api:
        yield api


def read(api: Api, landing: Path, **options: Any) -> tuple[list[Row], Ending]:
    """Return the rows, of which the later version counts, and what is known at the end."""
    dataset = replace(PLAYER, api=options.pop("rest", api.shape.rest))
    options = {"page_size": api.shape.page_size, "patience": QUICK} | options
    connection = api.connection(**options.pop("connection", {}))
    source = RestSource(connection, dataset, options.pop("since", ""), landing=landing, **options)
    rows: dict[object, Row] = {}
    for item in source.batches():
        if isinstance(item, BeginAgain):
            rows.clear()
        elif isinstance(item, RawBatch):
            rows |= {row[KEY]: row for row in item.received if isinstance(row, dict)}
    return sorted(rows.values(), key=lambda row: row[KEY]), source.ending()


def by_key(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row[KEY])


@each_shape
def test_the_first_load_is_the_source(api: Api, tmp_path: Path) -> None:
    rows, ending = read(api, tmp_path)
    assert rows == by_key(api.rows)
    assert sorted(ending.keys.to_pylist()) == [row[KEY] for row in rows]
    pages = -(-COUNT // LARGEST)
    total = api.shape.rest.total
    assert ending.notes[0] == f"{COUNT} rows in {1 if api.shape.name == 'single page' else pages} " + (
        "page" if api.shape.name == "single page" else "pages"
    )
    assert (UNPROVEN in ending.notes) == (total is None)
    assert ending.source_count == (COUNT if total else None)


@each_shape
def test_an_update_is_what_changed_since_a_day_the_day_included(api: Api, tmp_path: Path) -> None:
    day = sorted(row[CURSOR] for row in api.rows)[30]
    rows, ending = read(api, tmp_path, since=day if api.shape.rest.since else "")
    selected = api.since(day) if api.shape.rest.since else api.rows
    if api.shape.name == "token":  # whose filter excludes its value
        earlier = {row[CURSOR] for row in rows} - {row[CURSOR] for row in selected}
        rows = [row for row in rows if row[CURSOR] not in earlier]
    assert rows == by_key(selected)
    assert ending.shows_missing is False


@each_shape
def test_nothing_has_changed(api: Api, tmp_path: Path) -> None:
    if api.shape.rest.since:
        assert read(api, tmp_path, since="2030-01-01")[0] == []


@each_shape
@pytest.mark.parametrize("stopped_at", [1, 3])
def test_a_retry_goes_on_where_it_stopped(api: Api, tmp_path: Path, stopped_at: int) -> None:
    api.instead = {stopped_at: (401, {}, {"detail": "stop"})}
    if api.shape.name == "single page":
        api.instead = {0: api.instead[stopped_at]}
    with pytest.raises(PipelineError, match="401"):
        read(api, tmp_path)
    landed = 0 if api.shape.name == "single page" else stopped_at
    asked = len(api.pages_asked)
    rows, ending = read(api, tmp_path)
    assert rows == by_key(api.rows)
    whole = len(api.pages_asked) - asked
    api.asked.clear()
    read(api, tmp_path / "other")
    assert whole == len(api.pages_asked) - landed
    assert any("downloaded by an earlier try" in note for note in ending.notes) == (landed > 0)


@each_shape
def test_a_complete_reading_needs_no_server(api: Api, tmp_path: Path) -> None:
    rows, ending = read(api, tmp_path)
    api.asked.clear()
    again, ending_again = read(api, tmp_path)
    assert api.asked == []
    assert again == rows
    assert (ending_again.source_count, ending_again.keys) == (ending.source_count, ending.keys)


def insert_first(api: Api) -> None:
    api.rows.insert(0, api.rows[0] | {KEY: 1, CURSOR: "2024-09-23"})


def insert_last(api: Api) -> None:
    api.rows.append(api.rows[0] | {KEY: 9_999 + len(api.rows), CURSOR: "2024-09-23"})


def remove_first(api: Api) -> None:
    api.rows.pop(0)


@each_shape
@pytest.mark.parametrize("full_sweep", [False, True])
@pytest.mark.parametrize("move", [insert_first, insert_last, remove_first])
def test_rows_that_come_or_go_meanwhile_hide_no_other(
    api: Api, move: Callable[[Api], None], full_sweep: bool, tmp_path: Path
) -> None:
    if api.shape.name == "size only" and move is remove_first:
        pytest.skip("numbered pages without a total cannot show a row that went; the run says so")
    before = {row[KEY] for row in api.rows}
    api.before = {2: lambda: move(api)}
    rows, ending = read(api, tmp_path, full_sweep=full_sweep)
    remaining = [row for row in api.rows if row[KEY] in before]
    assert [row for row in rows if row[KEY] in {row[KEY] for row in remaining}] == by_key(remaining)
    assert ending.shows_missing is full_sweep


@each_shape
def test_a_second_reading_is_landed_beside_the_first(api: Api, tmp_path: Path) -> None:
    _, ending = read(api, tmp_path, full_sweep=True)
    assert ending.read_keys_again
    remove_first(api)
    assert sorted(ending.read_keys_again().to_pylist()) == sorted(row[KEY] for row in api.rows)
    api.asked.clear()
    _, again = read(api, tmp_path, full_sweep=True)
    assert again.read_keys_again
    assert sorted(again.read_keys_again().to_pylist()) == sorted(row[KEY] for row in api.rows)
    assert api.asked == [], "both readings have landed"


def only(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("shape", [BY_NAME[name] for name in names], ids=names)


@only("next link")
def test_another_host_in_a_link_is_said_once_and_not_asked(api: Api, tmp_path: Path) -> None:
    _, ending = read(api, tmp_path)
    [said] = [note for note in ending.notes if "another host" in note]
    assert "internal.invalid:9999; only their path and query were used" in said


@only("token", "next link", "Link header", "OData")
def test_a_refused_token_begins_anew_once(api: Api, tmp_path: Path) -> None:
    api.instead = {2: (410, {}, {"error": "expired"})}
    rows, _ = read(api, tmp_path)
    assert rows == by_key(api.rows)
    assert len(api.pages_asked) == 3 + 5
    api.instead = {len(api.pages_asked) + number: (400, {}, {}) for number in range(1, 99, 1)}
    with pytest.raises(PipelineError, match="400"):
        read(api, tmp_path / "other")


@only("token", "next link", "Link header", "JSON:API", "token with has_more")
def test_a_repeated_token_or_link_is_an_error(api: Api, tmp_path: Path) -> None:
    whole = api.shape.answer
    first = whole(api, fs_request())

    def repeat(api: Api, asked: Any) -> Any:
        return first

    api.shape = replace(api.shape, answer=repeat)
    with pytest.raises(PipelineError, match="for the next page, which was that of an earlier page"):
        read(api, tmp_path)
    assert len(api.pages_asked) <= 3


def fs_request() -> Any:
    return fs.Request("/things", {}, {})


@only("token", "token with has_more", "next link")
def test_a_repeated_key_is_a_newer_version(api: Api, tmp_path: Path) -> None:
    def change() -> None:
        api.rows[3] = api.rows[3] | {"position": "K"}
        api.rows.append(api.rows[3] | {KEY: 9_000})

    api.before = {3: change}
    whole = api.shape.answer

    def answer(api: Api, asked: Any) -> Any:
        """Give a row again when it has changed, as feeds of changes do."""
        status, headers, found = whole(api, asked)
        rows = next(value for value in cast("dict", found).values() if isinstance(value, list) and value)
        rows[:] = [api.rows[3] if row[KEY] == 9_000 else row for row in rows]
        return status, headers, found

    api.shape = replace(api.shape, answer=answer)
    rows, ending = read(api, tmp_path, rest=replace(api.shape.rest, total=None))
    assert rows == by_key(api.rows[:-1])
    assert len(ending.keys) == COUNT


@only("token with has_more")
def test_a_token_may_be_a_field_of_the_last_row(api: Api, tmp_path: Path) -> None:
    rest = replace(api.shape.rest, pages=Token("items.-1.player_id", "after", more="has_more"))
    rows, _ = read(api, tmp_path, rest=rest)
    assert rows == by_key(api.rows)
    assert len(api.pages_asked) == 5


@only("token with has_more")
def test_more_pages_without_a_token_are_an_error(api: Api, tmp_path: Path) -> None:
    api.instead = {1: (200, {}, {"items": [], "has_more": True, "last": None})}
    with pytest.raises(PipelineError, match="True at 'has_more', but no token at 'last'"):
        read(api, tmp_path)


@only("page numbers", "search by POST", "Content-Range", "next link", "JSON:API")
@pytest.mark.parametrize("full_sweep", [False, True])
def test_a_total_that_never_agrees_is_told_as_it_is(api: Api, full_sweep: bool, tmp_path: Path) -> None:
    whole = api.shape.answer

    def answer(api: Api, asked: Any) -> Any:
        status, headers, found = whole(api, asked)
        headers = {name: value.replace("/45", "/55") for name, value in headers.items()}
        headers |= {"X-Total-Count": "55"} if "X-Total-Count" in headers else {}
        if isinstance(found, dict):
            found = found | ({"count": 55} if "count" in found else {})
            found |= {"hits": cast("dict", found["hits"]) | {"total": 55}} if "hits" in found else {}
            found |= {"meta": {"page": {"total": 55}}} if "meta" in found else {}
        return status, headers, found

    api.shape = replace(api.shape, answer=answer)
    with pytest.raises(
        PipelineError,
        match="received 45 rows, but the source counts 55; nothing moved between two readings; compare",
    ):
        read(api, tmp_path, full_sweep=full_sweep)


BLANK: dict[str, Answer] = {
    "204": (204, {}, b""),
    "404": (404, {}, {"detail": "no such page"}),
    "416": (416, {}, {}),
    "null": (200, {}, b"null"),
    "an empty object": (200, {}, b"{}"),
    "an empty body": (200, {}, b""),
    "an empty list": (200, {}, b"[]"),
}


@only("skip and limit", "page numbers", "search by POST", "Content-Range")
@pytest.mark.parametrize("blank", BLANK)
def test_an_end_is_taken_where_the_total_says_so(api: Api, blank: str, tmp_path: Path) -> None:
    api.instead = {5: BLANK[blank]}
    rows, _ = read(api, tmp_path, full_sweep=True)
    assert rows == by_key(api.rows)


@only("skip and limit", "search by POST", "Content-Range")
@pytest.mark.parametrize("blank", [name for name in BLANK if name != "an empty list"])
def test_an_end_too_early_is_no_end(api: Api, blank: str, tmp_path: Path) -> None:
    api.instead = dict.fromkeys(range(2, 30), BLANK[blank])
    with pytest.raises(PipelineError):
        read(api, tmp_path, full_sweep=True)


@only("skip and limit", "size only")
@pytest.mark.parametrize("blank", ["204", "null", "an empty object", "an empty body"])
def test_a_blank_answer_is_the_end_if_it_comes_twice(api: Api, blank: str, tmp_path: Path) -> None:
    rest = replace(api.shape.rest, total=None)
    api.instead = {2: BLANK[blank]}
    assert read(api, tmp_path / "once", rest=rest)[0] == by_key(api.rows)
    api.asked.clear()
    api.instead = dict.fromkeys(range(5, 30), BLANK[blank])
    assert read(api, tmp_path / "twice", rest=rest)[0] == by_key(api.rows)
    api.asked.clear()
    api.instead = dict.fromkeys(range(30), BLANK[blank])
    assert read(api, tmp_path / "nothing", rest=rest, since="2030-01-01")[0] == []
    api.asked.clear()
    api.instead = dict.fromkeys(range(30), BLANK[blank])
    with pytest.raises(PipelineError):
        read(api, tmp_path / "everything", rest=rest)


@only("skip and limit")
@pytest.mark.parametrize("status", [204, 404, 416])
def test_a_declared_end_status_is_the_end_after_the_first_page(api: Api, status: int, tmp_path: Path) -> None:
    rest = replace(api.shape.rest, total=None, end_statuses=(204, 404, 416))
    api.instead = dict.fromkeys(range(5, 30), (status, {}, b"{}"))
    assert read(api, tmp_path, rest=rest)[0] == by_key(api.rows)
    api.asked.clear()
    api.instead = dict.fromkeys(range(30), (404, {}, b"{}"))
    with pytest.raises(PipelineError, match="404"):
        read(api, tmp_path / "first", rest=rest)


@only("skip and limit")
def test_a_count_that_moves_does_not_fail_an_update(api: Api, tmp_path: Path) -> None:
    api.before = {number: lambda: insert_last(api) for number in range(9)}
    rows, ending = read(api, tmp_path, since="2024-09-02")
    assert {row[KEY] for row in rows} >= {row[KEY] for row in api.since("2024-09-02") if row[KEY] < 9_000}
    assert COUNT <= (ending.source_count or 0) <= COUNT + 9


WINDOW = Rest(
    "things",
    since=Since("changed"),
    total=Total("things", "counts"),
    window=20,
)


@only("skip and limit")
@pytest.mark.parametrize("full_sweep", [False, True])
def test_a_window_is_passed_by_asking_again_from_the_last_cursor(
    api: Api, full_sweep: bool, tmp_path: Path
) -> None:
    for number, row in enumerate(api.rows):
        row[CURSOR] = f"2024-08-{1 + number // 4:02}"
    rows, _ = read(api, tmp_path, rest=WINDOW, full_sweep=full_sweep)
    assert rows == by_key(api.rows)
    assert max(int(asked.query["skip"]) + 10 for asked in api.pages_asked) <= 20
    assert [asked.query["changed"] for asked in api.pages_asked if "changed" in asked.query] != []


@only("skip and limit")
def test_a_window_of_one_cursor_is_an_error(api: Api, tmp_path: Path) -> None:
    for row in api.rows:
        row[CURSOR] = "2024-08-01"
    with pytest.raises(PipelineError, match="all rows of a window of 20 rows with the cursor 2024-08-01"):
        read(api, tmp_path, rest=WINDOW)


def test_searches_say_everything_in_their_body(tmp_path: Path) -> None:
    with serving(Api(BY_NAME["search by POST"], fs.make_rows(COUNT))) as api:
        read(api, tmp_path, since="2024-09-01")
    first = api.pages_asked[0]
    assert (first.query, first.body) == (
        {},
        {
            "query": {"range": {"changed": {"gte": "2024-09-01"}}},
            "sort": ["changed"],
            "from": 0,
            "size": 10,
        },
    )


MENU: dict[str, fs.Failure] = {
    "429": fs.status(429, Retry_After="0"),
    "500": fs.status(500),
    "503": fs.status(503),
    "400": fs.status(400),
    "404": fs.status(404),
    "reset": fs.reset,
    "cut": fs.cut,
    "cut without length": fs.cut_without_length,
    "cut chunks": fs.cut_chunks,
    "broken JSON": fs.instead(b'{"data": [{"player_id": 1,]}'),
    "HTML": fs.instead(b"<!DOCTYPE html><title>Sign in</title>", "text/html"),
    "another object": fs.instead(b'{"detail": "no list today"}'),
    "null": fs.instead(b"null"),
    "empty body": fs.instead(b""),
    "UTF-8 with a mark": lambda handler, body: handler.send(b"\xef\xbb\xbf" + body),
    "chunks": fs.chunks,
}


# After a refused token all pages are read again, and an end that the total contradicts is read again.
READS_AGAIN = {
    **dict.fromkeys(("token", "next link", "OData"), ("400", "404")),
    "search by POST": ("404",),
}
TOLD = ("400", "404", "broken JSON", "another object")


@only("size only", "token", "next link", "OData", "search by POST")
@pytest.mark.parametrize("number", [0, 2, 4])
@pytest.mark.parametrize("failure", MENU)
def test_a_fault_is_passed_or_told(api: Api, failure: str, number: int, tmp_path: Path) -> None:
    """An extraction equals the source, or it failed, and the next try equals it."""
    api.failures = {number: MENU[failure]}
    reads_again = number and failure in READS_AGAIN.get(api.shape.name, ())
    if failure in TOLD and not reads_again:
        with pytest.raises(PipelineError, match=rf"page {number}: (GET|POST) {api.url}/things.*; "):
            read(api, tmp_path)
    rows, _ = read(api, tmp_path)
    assert rows == by_key(api.rows)


@only("page numbers")
def test_a_last_page_that_comes_for_all_later_numbers_is_the_end(api: Api, tmp_path: Path) -> None:
    whole = api.shape.answer

    def clamp(api: Api, asked: Asked) -> Answer:
        asked.query["page"] = str(min(int(asked.query["page"]), 5))
        return whole(api, asked)

    api.shape = replace(api.shape, answer=clamp)
    for full_sweep in (False, True):
        rows, ending = read(api, tmp_path / str(full_sweep), full_sweep=full_sweep)
        assert rows == by_key(api.rows)
        assert ending.rows == COUNT


@only("page numbers")
def test_a_total_that_always_moves_fails_a_sweep_and_is_said_by_an_update(api: Api, tmp_path: Path) -> None:
    begun = {row[KEY] for row in api.rows}
    api.before = {number: lambda: insert_last(api) for number in range(1, 60, 3)}
    rows, ending = read(api, tmp_path / "update")
    assert begun <= {row[KEY] for row in rows}
    assert "in each reading; a row that was skipped is found by the next full sweep" in str(ending.notes)
    api.asked.clear()
    api.rows = [row for row in api.rows if row[KEY] in begun]
    api.before = {number: lambda: insert_last(api) for number in range(1, 60, 3)}
    with pytest.raises(PipelineError, match="rows moved between the pages in each of 3 readings"):
        read(api, tmp_path / "sweep", full_sweep=True)


EVENT = Dataset(
    "event",
    [
        Column("site", pa.string(), nullable=False, at="where.site"),
        Column("number", pa.int32(), nullable=False),
        Column("changed", pa.timestamp("us", "UTC"), nullable=False, at={"api": "meta.changed"}),
        Column("value", pa.float64()),
    ],
    ("site", "number"),
    "changed",
    api=Rest(
        "events",
        pages=Offset("from", "size"),
        rows="data.items",
        since=Since("changed_since", form="timestamp"),
        total=Total("data.total", of="answer"),
        deleted_at="meta.deleted",
        window=8,
    ),
)


def events(api: Api, asked: Asked) -> Answer:
    """Give rows with moments in another zone, nested fields and deletion markers, sorted by the moment."""
    since = datetime.fromisoformat(asked.query.get("changed_since", "0001-01-02T00:00:00Z"))
    rows = [row for row in api.rows if datetime.fromisoformat(row["meta"]["changed"]) >= since]
    first, size = int(asked.query["from"]), min(int(asked.query["size"]), 4)
    assert first + size <= 8, "behind the window"
    return 200, {}, {"data": {"total": len(rows), "items": rows[first : first + size]}}


def test_moments_nested_fields_composite_keys_and_deletion_markers(tmp_path: Path) -> None:
    begin = datetime(2024, 9, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    rows: list[Row] = [
        {
            "where": {"site": "AB"[number % 2]},
            "number": number // 2,
            "value": number / 2,
            "meta": {
                "changed": (begin + timedelta(minutes=number // 3)).isoformat(),
                "deleted": number == 5,
            },
        }
        for number in range(21)
    ]
    with serving(Api(Shape("events", Rest("events"), events), rows)) as api:
        found: list[tuple[object, ...]] = []
        deleted: list[object] = []
        source = RestSource(
            api.connection(), EVENT, "2024-08-31 23:01:00.000000", page_size=4, landing=tmp_path
        )
        for batch in source.batches():
            assert isinstance(batch, RawBatch)
            checked = check_batch(batch, EVENT, date(2024, 9, 30))
            assert not checked.rejected
            found += [tuple(row.values()) for row in checked.good.to_pylist()]
            if checked.marked is not None:
                deleted += [tuple(row.values())[:2] for row in checked.marked.to_pylist()]
    moments = [begin + timedelta(minutes=number // 3) for number in range(21)]
    expected = {
        ("AB"[number % 2], number // 2, moments[number].astimezone(UTC), number / 2)
        for number in range(3, 21)
    }
    gone = {row for row in expected if row[:2] == ("B", 2)}
    assert set(found) == expected - gone
    assert set(deleted) == {("B", 2)}
    keys = source.ending().keys.to_pylist()
    assert sorted((key["site"], key["number"]) for key in keys) == sorted(row[:2] for row in expected)
    assert {asked.query["changed_since"] for asked in api.asked} > {"2024-08-31T23:01:00Z"}
    assert UNPROVEN not in source.ending().notes
