"""A page read straight into columns means what it means value by value, whatever stands in it."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pytest
from declared import PLAYER
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.check_batch import check_batch
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.sources.http.page_parser import Parser, parse
from notebook_pipeline.sources.http.page_types import loses_digits
from tests.bulk_data import TODAY, player
from tests.test_check_batch import MEASURE, measure
from tests.test_child_rows import NESTED, ORDER

GAMES = [{"week": 1, "points": 2.5, "played": "2024-09-01", "gsis_id": "00-0000001"}]


def reasons(batch: RawBatch | None) -> list[Sequence[str]]:
    """Return why rows of a page are rejected."""
    assert batch is not None
    return [row.reasons for row in check_batch(batch, PLAYER, TODAY).rejected]


def taught(dataset: Dataset, *rows: dict[str, Any]) -> Parser:
    """Return a parser that has seen one page of these rows."""
    parser = Parser(dataset)
    first = parser.parse(orjson.dumps(rows), 0)
    assert first is not None
    assert first.typed is None
    return parser


def test_a_page_like_the_one_before_becomes_columns() -> None:
    parser = taught(PLAYER, player(1, performances=[]), player(2, performances=GAMES))
    rows = [player(3, performances=GAMES * 2), player(4, position="GOALIE", performances=[])]
    batch = parser.parse(orjson.dumps(rows), 7)
    assert batch is not None
    assert batch.typed is not None
    assert batch.typed.to_pylist() == [{name: row[name] for name in PLAYER.schema.names} for row in rows]
    checked = check_batch(batch, PLAYER, TODAY)
    [rejected] = checked.rejected
    assert (rejected.position, orjson.loads(rejected.row)) == ("page 7, row 1", rows[1])
    assert parser.fields == {*PLAYER.schema.names, "performances"}


def test_a_field_that_comes_later_is_named_and_then_known() -> None:
    parser = taught(PLAYER, player(1))
    pages = [orjson.dumps([player(2, agent="x")]), orjson.dumps([player(3, agent="y"), player(4)])]
    new, known = [parser.parse(page, number) for number, page in enumerate(pages, 1)]
    assert new is not None
    assert new.typed is None
    assert known is not None
    assert known.typed is not None
    assert parser.fields == {*PLAYER.schema.names, "agent"}


def test_fields_without_end_make_no_shape_without_end() -> None:
    parser = taught(PLAYER, player(1))
    pages = [orjson.dumps([player(2, **{f"x{page}_{n}": n for n in range(9)})]) for page in range(100)]
    nested = [orjson.dumps([player(3, games={f"x{page}_{n}": n for n in range(9)})]) for page in range(100)]
    wide = [orjson.dumps([player(4, **{f"x{n}": n for n in range(count)})]) for count in (200, 300)]
    for different in (pages, nested):
        assert all(is_in_columns(parser, page) is False for page in different)
        assert is_in_columns(parser, different[-1]), "what came last is known"
        assert not is_in_columns(parser, different[0]), "what came long before is forgotten"
    assert [is_in_columns(parser, page) for page in wide for _ in range(3)] == [
        False,
        False,
        True,
        *[False] * 3,
    ]
    assert len(parser.fields) == 6 + 1 + 900 + 300


def is_in_columns(parser: Parser, body: bytes) -> bool:
    batch = parser.parse(body, 1)
    assert batch is not None
    return batch.typed is not None


def test_null_is_told_from_missing() -> None:
    parser = taught(PLAYER, player(1))
    missing = player(3)
    del missing["position"]
    nulls = parser.parse(orjson.dumps([player(2, position=None), player(3)]), 1)
    mixed = parser.parse(orjson.dumps([player(2, position=None), missing]), 2)
    assert nulls is not None
    assert nulls.typed is not None
    assert reasons(mixed) == [["position: is missing"], ["position: the field is missing"]]


def test_a_field_that_may_be_null_may_be_missing() -> None:
    missing = player(3)
    del missing["gsis_id"]
    batch = taught(PLAYER, player(1)).parse(orjson.dumps([player(2, gsis_id=None), missing]), 1)
    assert batch is not None
    assert batch.typed is not None
    assert reasons(batch) == []


def test_a_field_is_missing_although_another_row_has_one_of_its_name_further_in() -> None:
    games = [{**GAMES[0], "position": "QB"}]
    parser = taught(PLAYER, player(1, performances=games))
    missing = player(3, performances=games)
    del missing["position"]
    batch = parser.parse(orjson.dumps([player(2, position=None, performances=[]), missing]), 1)
    assert reasons(batch) == [["position: is missing"], ["position: the field is missing"]]


def test_a_row_that_is_null_is_no_row_of_nulls() -> None:
    batch = taught(PLAYER, player(1)).parse(orjson.dumps([None, player(2)]), 1)
    assert reasons(batch) == [["None is not a JSON object"]]


@pytest.mark.parametrize(
    "text", [b"", b"[", b"null", b"{}", b'"[]"', b"[]}{", b'[]}\n{"answer":[]', b"[Inf]"]
)
def test_what_is_no_json_list_is_none(text: bytes) -> None:
    assert taught(PLAYER, player(1)).parse(text, 1) is None


@pytest.mark.parametrize(("said", "instead"), [(b"2.5", b"NaN"), (b"2024-09-01", b"\xff")])
def test_values_that_json_does_not_allow_do_no_harm_where_they_are_ignored(
    said: bytes, instead: bytes
) -> None:
    body = orjson.dumps([player(2, performances=GAMES), player(3)])
    parser = taught(PLAYER, player(1, performances=GAMES))
    assert said in body
    batch = parser.parse(body.replace(said, instead, 1), 1)
    assert batch is not None
    assert batch.typed is None
    assert reasons(batch) == []


def test_an_integer_beyond_64_bits_keeps_its_digits() -> None:
    batch = taught(PLAYER, player(1)).parse(b'[{"player_id": 123456789012345678901}]', 1)
    assert batch is not None
    assert batch.received[0] == {"player_id": 123456789012345678901}


def test_a_page_of_a_hundred_thousand_rows_in_many_lines_becomes_columns() -> None:
    rows = [player(number) for number in range(100_000)]
    batch = taught(PLAYER, player(1)).parse(orjson.dumps(rows, option=orjson.OPT_INDENT_2), 1)
    assert batch is not None
    assert batch.typed is not None
    assert batch.typed.column("player_id").to_pylist() == [row["player_id"] for row in rows]


VALUES = st.sampled_from(
    [
        *(
            "1",
            "0",
            "-0",
            "-1",
            "7.0",
            "1e2",
            "2.5",
            "1e400",
            "01",
            "NaN",
            "-Inf",
            "Infinity",
            "null",
            "true",
        ),
        *("9223372036854775807", "9223372036854775808", "123456789012345678901234567890", '"1"', '"NaN"'),
        *(
            '""',
            '"x"',
            '"AB"',
            '"good"',
            '"QB"',
            '"2024-09-01"',
            '"2026-11-24"',
            '"9999-12-31"',
            '"2024-02-30"',
        ),
        *(
            '"gsis_id"',
            r'"x\"gsis_id"',
            r'"\u0000"',
            r'"\ud800"',
            r'"\udc00"',
            r'"\ud83d\ude00"',
            '"ü"',
            r'"\x"',
        ),
        *(
            '"\t"',
            "[]",
            "{}",
            "[[]]",
            "[null]",
            '[1,"a"]',
            "[{}]",
            '[{"week":1,"points":2}]',
            '{"gsis_id":1}',
        ),
        *('[{"week":1,"gsis_id":null}]', '[{"week":1,"points":NaN}]', '"\udcff"'),
    ]
).map(lambda text: text.encode(errors="surrogateescape"))
NAMES = st.sampled_from(
    [
        *("player_id", "gsis_id", "position", "id", "code", "points", "day", "performances", "agent"),
        *(r"x\"gsis_id", r"gsis\u005fid"),
    ]
)
SPACES = st.sampled_from([b"", b"", b"", b" ", b"\n", b"\r\n\t", b"\xc2\xa0"])


@st.composite
def rows(draw: st.DrawFn, clean: dict[str, Any]) -> bytes:
    """Return the JSON of a row, some fields replaced, left out, added or doubled; or of no object at all."""
    if draw(st.integers(0, 19)) == 0:
        return draw(VALUES)
    fields = [(orjson.dumps(name), orjson.dumps(value)) for name, value in clean.items()]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        name = b'"%b"' % draw(NAMES).encode()
        at = draw(st.integers(0, len(fields) - 1))
        fields[at : at + draw(st.integers(0, 1))] = draw(
            st.sampled_from([[], [(name, draw(VALUES))], [(fields[at][0], draw(VALUES))]])
        )
    colon = draw(SPACES) + b":" + draw(SPACES)
    return b"{%b}" % b",".join(name + colon + value for name, value in fields)


@st.composite
def pages(draw: st.DrawFn, clean: dict[str, Any]) -> bytes:
    """Return a page of such rows, sometimes cut short or with something more at its end."""
    body = b"[%b%b]" % (draw(SPACES), (b"," + draw(SPACES)).join(draw(st.lists(rows(clean), max_size=4))))
    end = draw(st.sampled_from([b"", b"", b"", b"", b" ", b"]", b'}{"rows":[]', b',"rows":[]', b"\x00"]))
    return body[: draw(st.sampled_from([None, None, None, None, -1, -7]))] + end


# JSON that Arrow reads as these types; what the contract says of it is another matter.
FITTING = {
    pa.int64(): ["1", "0", "-1", "7", "123", "9223372036854775807", "null"],
    pa.float64(): ["1", "-0", "2.5", "7.0", "1e2", "-1e-9", "null"],
    pa.string(): ['""', '"x"', '"AB"', '"good"', '"QB"', '"ü"', r'"\u0000"', r'"\ud83d\ude00"', "null"],
    pa.date32(): ['"2024-09-01"', '"2026-11-24"', '"9999-12-31"', '"2024-02-30"', '"x"', "null"],
}
# A null here cannot be told from a missing field where games hold a field of that name.
NO_NULL = [name for name in GAMES[0] if name in PLAYER.schema.names]
BLANKS = st.sampled_from([b"", b" ", b"\n", b"\r\n\t"])


@st.composite
def alike(
    draw: st.DrawFn, dataset: Dataset, more: Mapping[str, st.SearchStrategy[bytes]] | None = None
) -> bytes:
    """Return a page that goes on like the one that was taught, but for `more` in its last row."""
    values: dict[str, st.SearchStrategy[bytes]] = {
        field.name: st.sampled_from(
            [value.encode() for value in FITTING[field.type] if value != "null" or field.name not in NO_NULL]
        )
        for field in dataset.schema
    }
    if dataset is PLAYER:
        values["performances"] = st.sampled_from([orjson.dumps(GAMES * times) for times in range(3)])
    rows = [draw(st.fixed_dictionaries(values)) for _ in range(draw(st.integers(1, 3)))]
    rows[-1] |= draw(st.fixed_dictionaries(more or {}))
    blank = draw(BLANKS)
    found = [
        b",".join(b'%b"%b":%b%b' % (blank, name.encode(), blank, value) for name, value in row.items())
        for row in rows
    ]
    return b"[%b{%b}%b]" % (blank, (b"}%b,{" % blank).join(found), blank)


@pytest.mark.parametrize(
    ("dataset", "clean"),
    [(PLAYER, player(1, performances=GAMES)), (MEASURE, measure(code=None))],
    ids=["player", "measure"],
)
def test_columns_and_values_mean_the_same(dataset: Dataset, clean: dict[str, Any]) -> None:
    """Each time by either way: a page of the known shape; pages of any kind; one with a field never seen."""
    names = st.sampled_from(dataset.schema.names)

    @settings(max_examples=120)
    @example(
        first=orjson.dumps([clean]),
        bodies=[b'[{"x\\"gsis_id":null}]', b'[{"player_id":1}]'],
        last=orjson.dumps([clean | {"never": 1}]),
    )
    @given(
        first=alike(dataset),
        bodies=st.lists(
            pages(clean) | names.flatmap(lambda name: alike(dataset, {name: VALUES})), min_size=2, max_size=4
        ),
        last=alike(dataset, {"never": st.just(b"1")}),
    )
    def holds(first: bytes, bodies: list[bytes], last: bytes) -> None:
        parser, ways = taught(dataset, clean), []
        for number, body in enumerate([first, *bodies, last]):
            received, found = parse(body), parser.parse(body, number)
            if not isinstance(received, list):
                assert found is None
                continue
            assert found is not None
            if loses_digits(received, dataset):
                received = parse(body, exactly=True)
                assert isinstance(received, list)
            ways.append("columns" if found.typed else "values")
            plain = RawBatch(received, lambda row, number=number: f"page {number}, row {row}")
            assert outcome(found, dataset) == outcome(plain, dataset)
        assert (ways[0], ways[-1]) == ("columns", "values")

    holds()


def outcome(batch: RawBatch, dataset: Dataset) -> tuple[pa.RecordBatch, object]:
    """Return what becomes of a page's rows."""
    checked = check_batch(batch, dataset, TODAY)
    return checked.good, (checked.rejected, checked.read, list(batch.received))


ROWS_OF = {
    ("data",): "data",
    ("data", "items"): "data.items",
    ("@odata.value",): ("@odata.value",),
}


def wrapped(path: tuple[str, ...], rows: list[dict[str, Any]], **around: object) -> bytes:
    value: object = rows
    for name in reversed(path):
        value = {"before": 1, name: value, "after": None}
    assert isinstance(value, dict)
    return orjson.dumps(value | around)


@pytest.mark.parametrize("path", ROWS_OF)
def test_rows_inside_an_object_become_columns(path: tuple[str, ...]) -> None:
    parser = Parser(PLAYER, rows=ROWS_OF[path])
    first = parser.parse(wrapped(path, [player(1)], next="a", count=3), 0)
    assert first is not None
    assert first.received == [player(1)]
    batch = parser.parse(wrapped(path, [player(2), player(3)], next="b", count=4), 1)
    assert batch is not None
    assert batch.typed is not None
    assert list(batch.received) == [player(2), player(3)]
    assert isinstance(parser.around, dict)
    assert {name: parser.around[name] for name in ("next", "count")} == {"next": "b", "count": 4}
    assert str(parser.around).count("before") == len(path)


def test_an_answer_that_changes_around_the_rows_is_understood() -> None:
    parser = Parser(PLAYER, rows="data")
    bodies = [
        wrapped(("data",), [player(1)], next=None),
        wrapped(("data",), [player(2)], next="b"),
        wrapped(("data",), [player(3)], next="c"),
        wrapped(("data",), [player(4)], other={"x": [1, "a"]}),
        b'{"data": null, "next": ""}',
    ]
    found = []
    for number, body in enumerate(bodies):
        batch = parser.parse(body, number)
        assert batch is not None
        assert isinstance(parser.around, dict)
        found.append((len(batch), batch.typed is not None, parser.around.get("next", "none")))
    assert found == [(1, False, None), (1, False, "b"), (1, True, "c"), (1, False, "none"), (0, False, "")]
    assert parser.parse(b'{"other": []}', 9) is None


def test_rows_inside_the_items_of_a_list() -> None:
    parser = Parser(PLAYER, rows="edges[].node")
    batch = parser.parse(orjson.dumps({"edges": [{"node": player(1)}, {"node": player(2)}, {}]}), 0)
    assert batch is not None
    assert list(batch.received) == [player(1), player(2), None]


MARKS = [None, False, 0, "", True, 1, "2024-09-01", 0.0]


def test_deletion_markers_are_told_from_other_rows() -> None:
    parser = Parser(PLAYER, deleted_at="meta.gone")
    rows = [player(number, meta={"gone": mark}) for number, mark in enumerate(MARKS)] + [{"player_id": 9}]
    batch = parser.parse(orjson.dumps(rows), 0)
    assert batch is not None
    assert batch.deletions is not None
    assert batch.deletions.to_pylist() == [*[False] * 4, True, True, True, False, False]
    unmarked = parser.parse(orjson.dumps([player(1)]), 1)
    assert unmarked is not None
    assert unmarked.deletions is None


@pytest.mark.parametrize(
    ("mark", "none"), [("2024-09-01", ""), (True, False), (17, 0), (1.5, 0.0), ({"by": "x"}, None)]
)
def test_deletion_markers_in_columns(mark: object, none: object) -> None:
    parser = Parser(PLAYER, deleted_at="gone")
    assert parser.parse(orjson.dumps([player(1, gone=mark)]), 0) is not None
    batch = parser.parse(orjson.dumps([player(2, gone=none), player(3, gone=mark), player(4)]), 1)
    assert batch is not None
    assert batch.typed is not None
    assert batch.deletions is not None
    assert batch.deletions.to_pylist() == [False, True, False]
    last = parser.parse(orjson.dumps([player(5, gone=None)]), 2)
    assert last is not None
    assert last.deletions is None


def test_numbers_of_nested_rows_keep_their_digits_too():
    def orders(price: object) -> list[object]:
        return [{"id": 1}, {"id": 2, "detail": {"lines": [7, {"price": price}]}}]

    assert loses_digits(orders(1.5), ORDER, [NESTED])
    assert not loses_digits(orders("1.5"), ORDER, [NESTED])
    assert not loses_digits(orders(1.5), ORDER)
