"""The contract: every demand broken once, every row accounted for, and one meaning for one value."""

import base64
import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from declared import PLAYER
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from seeds import SEED

from notebook_pipeline.contract import kept_rows
from notebook_pipeline.contract.batch import Malformed, RawBatch
from notebook_pipeline.contract.check_batch import Rejected, check_batch, stored_schema
from notebook_pipeline.contract.neutral_types import stored_type
from notebook_pipeline.declare import Column, Dataset
from notebook_pipeline.declare.row_conditions import AllowedValues, NotInFuture, Pattern, Range
from notebook_pipeline.errors import UsageError
from notebook_pipeline.sources.files import csv_reader, row_blocks
from tests.bulk_data import HEADER, TODAY, csv_bytes, folder, join, load, parquet_bytes, parquet_table, player

MEASURE = Dataset(
    name="measure",
    columns=(
        Column("id", pa.int64(), nullable=False),
        Column("code", pa.string()),
        Column("grade", pa.string()),
        Column("points", pa.float64()),
        Column("day", pa.date32(), nullable=False),
    ),
    key="id",
    cursor="day",
    rules=(
        Range("id", low=1, high=9),
        Pattern("code", "[A-Z]{2}|x"),
        AllowedValues("grade", ("good", "bad")),
        Range("points", low=0),
        Range("day", low="2026-01-01", high="2026-12-31"),
        NotInFuture("day", days=2),
    ),
)


def rows_of(*rows: object, from_text: bool = False) -> RawBatch:
    return RawBatch(rows, lambda row: f"page 0, row {row}", from_text=from_text)


def measure(**changes: object) -> dict[str, object]:
    return {"id": 1, "code": "AB", "grade": "good", "points": 1.5, "day": "2026-11-24", **changes}


def reasons(dataset: Dataset, row: object, *, from_text: bool = False) -> Sequence[str]:
    checked = check_batch(rows_of(row, from_text=from_text), dataset, TODAY)
    assert checked.read == checked.good.num_rows + len(checked.rejected) == 1
    return checked.rejected[0].reasons if checked.rejected else []


def test_stores_days_as_text() -> None:
    assert stored_schema(PLAYER).types == [pa.int64(), *[pa.string()] * 5]
    with pytest.raises(
        UsageError, match=r"^a column cannot be declared so: duration\[s\] is not a type that"
    ):
        stored_type(pa.duration("s"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"code": None, "grade": None, "points": None}, []),
        ({"id": 9, "code": "x", "grade": "bad", "points": 0, "day": "2026-01-01"}, []),
        ({"id": None}, ["id: is missing"]),
        ({"day": None}, ["day: is missing"]),
        ({"id": 0}, ["id: 0 is below 1"]),
        ({"id": 10}, ["id: 10 is above 9"]),
        ({"code": "ABC"}, ["code: 'ABC' does not match [A-Z]{2}|x"]),
        ({"code": "AB\n"}, ["code: 'AB\\n' does not match [A-Z]{2}|x"]),
        ({"code": "aAB"}, ["code: 'aAB' does not match [A-Z]{2}|x"]),
        ({"code": ""}, ["code: '' does not match [A-Z]{2}|x"]),
        ({"grade": "Good"}, ["grade: 'Good' is not one of good, bad"]),
        ({"points": -0.5}, ["points: -0.5 is below 0"]),
        ({"day": "2025-12-31"}, ["day: 2025-12-31 is below 2026-01-01"]),
        ({"day": "2026-11-25"}, ["day: 2026-11-25 is after 2026-11-24"]),
        (
            {"day": "2027-01-01"},
            ["day: 2027-01-01 is above 2026-12-31", "day: 2027-01-01 is after 2026-11-24"],
        ),
        (
            {"id": "x", "code": [], "grade": "?" * 100, "day": "never"},
            [
                "id: 'x' is not a whole number",
                "code: [] is not text",
                f"grade: '{'?' * 79}… is not one of good, bad",
                "day: 'never' is not a day (YYYY-MM-DD)",
            ],
        ),
    ],
)
def test_names_every_reason(changes: dict[str, object], expected: list[str]) -> None:
    assert reasons(MEASURE, measure(**changes)) == expected


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("id", 2.0, []),
        ("id", 2.5, ["id: 2.5 is not a whole number"]),
        ("id", True, ["id: True is not a whole number"]),
        ("id", [2], ["id: [2] is not a whole number"]),
        ("id", 2**63, [f"id: {2**63} does not fit into 64 bits"]),
        ("id", -(2**63) - 1, [f"id: {-(2**63) - 1} does not fit into 64 bits"]),
        ("code", True, ["code: True is not text"]),
        ("code", "\ud800", ["code: '\\ud800' is not UTF-8 text"]),
        ("code", "A\0", ["code: 'A\\x00' contains a NUL character"]),
        ("points", 7, []),
        ("points", "7", []),
        ("id", "7", []),
        ("points", False, ["points: False is not a number"]),
        ("points", 10**400, [f"points: {str(10**400)[:80]}… is not a finite number of 64 bits"]),
        ("day", 20260101, ["day: 20260101 is not a day (YYYY-MM-DD)"]),
        ("day", "2026-02-29", ["day: '2026-02-29' is not a calendar date"]),
        ("day", "2026-1-1", ["day: '2026-1-1' is not a day (YYYY-MM-DD)"]),
        ("day", "20260101", ["day: '20260101' is not a day (YYYY-MM-DD)"]),
        ("day", "2026-W01-1", ["day: '2026-W01-1' is not a day (YYYY-MM-DD)"]),
        ("day", "2026-01-01T00:00:00", []),
        (
            "day",
            "2026-01-01T00:00:01",
            ["day: '2026-01-01T00:00:01' is not a day (YYYY-MM-DD): it is not midnight"],
        ),
        ("day", "0000-01-01", ["day: '0000-01-01' is not a calendar date"]),
    ],
)
def test_json_has_types(column: str, value: object, expected: list[str]) -> None:
    assert reasons(MEASURE, measure(**{column: value})) == expected


PLAIN = {"id": "2", "code": "AB", "grade": "good", "points": "2", "day": "2026-01-02"}
# The column's other cell decides whether it is cast at once or cell by cell.
COMPANY = [PLAIN, {**PLAIN, "id": "?", "points": "?", "day": "?"}]


def check_text(
    row: dict[str, str], company: dict[str, str]
) -> tuple[list[dict[str, object]], list[Rejected]]:
    batch = pa.RecordBatch.from_pylist([row, company])
    checked = check_batch(RawBatch(batch, lambda row: f"p.csv:{row + 1}"), MEASURE, TODAY)
    return checked.good.to_pylist(), [row for row in checked.rejected if row.position == "p.csv:1"]


@pytest.mark.parametrize("company", COMPANY, ids=["cast", "converted"])
@pytest.mark.parametrize(
    ("column", "text", "stored"),
    [
        ("id", "7", 7),
        ("id", "007", 7),
        ("id", "00000000000000000000007", 7),
        ("id", "7.0", 7),
        ("id", "+7", 7),
        ("id", "7e0", 7),
        ("points", "7", 7.0),
        ("points", ".5", 0.5),
        ("points", "0.25", 0.25),
        ("points", "1.5e1", 15.0),
        ("day", "2026-02-28", "2026-02-28"),
    ],
)
def test_text_is_parsed(column: str, text: str, stored: object, company: dict[str, str]) -> None:
    good, rejected = check_text({**PLAIN, column: text}, company)
    assert (good[0][column], rejected) == (stored, [])
    assert reasons(MEASURE, {**PLAIN, column: text}, from_text=True) == []


@pytest.mark.parametrize("company", COMPANY, ids=["cast", "converted"])
@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        ("id", "7.5", "is not a whole number"),
        ("id", " 7", "is not a whole number"),
        ("id", "0x7", "is not a whole number"),
        ("id", "1_0", "is not a whole number"),
        ("id", "٣", "is not a whole number"),
        ("id", "-", "is not a whole number"),
        ("id", "9223372036854775808", "does not fit into 64 bits"),
        ("points", "nan", "is not a number"),
        ("points", "inf", "is not a number"),
        ("points", "0x1p3", "is not a number"),
        ("points", ".", "is not a number"),
        ("points", "1e999", "is not a finite number of 64 bits"),
        ("day", "2026-02-30", "is not a calendar date"),
        ("day", "0000-01-01", "is not a calendar date"),
        ("day", " 2026-02-28", "is not a day (YYYY-MM-DD)"),
        ("day", "28.02.2026", "is not a day (YYYY-MM-DD)"),
    ],
)
def test_text_is_parsed_strictly(column: str, text: str, reason: str, company: dict[str, str]) -> None:
    row = {**PLAIN, column: text}
    rejected = Rejected("p.csv:1", orjson.dumps(row).decode(), [f"{column}: {text!r} {reason}"])
    assert check_text(row, company)[1] == [rejected]
    # Rows that were kept from a file as JSON are read again by the same rules.
    assert reasons(MEASURE, row, from_text=True) == rejected.reasons


def among_good(column: str, values: pa.Array) -> pa.RecordBatch:
    """Return a batch that has this column among good ones."""
    good = {"id": pa.array([1] * len(values)), "code": ["AB"] * len(values), "grade": ["good"] * len(values)}
    return pa.record_batch(
        {**good, "points": [0.5] * len(values), "day": [TODAY] * len(values), column: values}
    )


def check_column(column: str, values: pa.Array) -> tuple[list[object], list[Sequence[str]]]:
    """Check a batch that has this column among good ones; return its good values and all reasons."""
    checked = check_batch(RawBatch(among_good(column, values), str), MEASURE, TODAY)
    assert checked.good.schema == stored_schema(MEASURE)
    return checked.good[column].to_pylist(), [row.reasons for row in checked.rejected]


NOON, MIDNIGHT = datetime(2026, 1, 2, 12), datetime(2026, 1, 2)


@pytest.mark.parametrize(
    ("column", "values", "good", "rejected"),
    [
        ("id", pa.array([1, 2], pa.int8()), [1, 2], []),
        ("id", pa.array([1, 2**63], pa.uint64()), [1], [[f"id: {2**63} does not fit into 64 bits"]]),
        ("id", pa.array([1.0, 1.5]), [1], [["id: 1.5 is not a whole number"]]),
        ("id", pa.array([1.0, float("nan")]), [1], [["id: nan is not a whole number"]]),
        ("id", pa.array(["1", "x"], pa.large_string()), [1], [["id: 'x' is not a whole number"]]),
        ("id", pa.array([1, None]), [1], [["id: is missing"]]),
        ("code", pa.array(["AB", "x", "AB"]).dictionary_encode(), ["AB", "x", "AB"], []),
        ("code", pa.array(["AB", None], pa.string_view()), ["AB", None], []),
        ("code", pa.array([b"AB", b"\xff"]), ["AB"], [["code: b'\\xff' is not UTF-8 text"]]),
        (
            "code",
            pa.array([b"AB", b"\xff"]).view(pa.string()),
            ["AB"],
            [["code: b'\\xff' is not UTF-8 text"]],
        ),
        ("code", pa.array(["AB", "\0"]), ["AB"], [["code: '\\x00' contains a NUL character"]]),
        ("code", pa.nulls(2), [None, None], []),
        ("code", pa.nulls(2, pa.float64()), [None, None], []),
        ("code", pa.array([None, True]), [None], [["code: True is not text"]]),
        (
            "day",
            pa.array([None, 1.0]),
            [],
            [["day: is missing"], ["day: 1.0 is not a day (YYYY-MM-DD)"]],
        ),
        ("points", pa.array([1, 2**60]), [1.0, float(2**60)], []),
        ("points", pa.array([1.5, float("inf")]), [1.5], [["points: inf is not a finite number of 64 bits"]]),
        ("day", pa.array(["2026-01-02", "x"]), ["2026-01-02"], [["day: 'x' is not a day (YYYY-MM-DD)"]]),
        ("day", pa.array([MIDNIGHT]), ["2026-01-02"], []),
        ("day", pa.array([MIDNIGHT], pa.timestamp("ns", "Europe/Berlin")), ["2026-01-02"], []),
        (
            "day",
            pa.array([MIDNIGHT, NOON], pa.timestamp("s")),
            ["2026-01-02"],
            [["day: '2026-01-02 12:00:00' is not a day (YYYY-MM-DD): it is not midnight"]],
        ),
        (
            "day",
            pa.array([20_455, 10_000_000], pa.int32()).view(pa.date32()),
            ["2026-01-02"],
            [["day: '29349-01-26' is not a day (YYYY-MM-DD)"]],
        ),
    ],
)
def test_parquet_has_many_types(
    column: str, values: pa.Array, good: list[object], rejected: list[Sequence[str]]
) -> None:
    assert check_column(column, values) == (good, rejected)


def test_rows_are_kept_as_received() -> None:
    far = pa.array([10_000_000], pa.int32()).view(pa.date32())
    table = parquet_table([player(-1)]).append_column("picture", pa.array([b"\xff"]))
    table = table.append_column("far", far).append_column("at", pa.array([NOON]))
    table = table.append_column("deep", pa.ListArray.from_arrays([0, 1], far))
    [batch] = table.append_column("since", pa.array([MIDNIGHT])).to_batches()
    [rejected] = check_batch(RawBatch(batch, str), PLAYER, TODAY).rejected
    assert json.loads(rejected.row) == {
        **player(-1),
        "picture": {"base64": base64.b64encode(b"\xff").decode()},
        "far": "29349-01-26",
        "at": "2026-01-02 12:00:00.000000",
        "deep": "<list<item: date32[day]>>",
        "since": "2026-01-02",
    }


ODD_COLUMNS = [
    ("id", pa.array([1.0, 1.5, float("nan"), float("inf"), float("-inf"), 1e22, None])),
    ("id", pa.array([1.5], pa.float32())),
    ("id", pa.array([Decimal("1.00"), Decimal("1.50"), Decimal("0.10")], pa.decimal128(10, 2))),
    ("id", pa.array([Decimal(10**30), Decimal(7)], pa.decimal128(38, 0))),
    ("id", pa.array([Decimal(2**53 + 1)], pa.decimal128(20, 2))),
    ("id", pa.array([2**63, 7], pa.uint64())),
    ("id", pa.array(["1", "1.00", "NaN", "x", ""])),
    ("id", pa.array([b"1", b"\xff"])),
    ("points", pa.array([1.5, float("nan"), float("-inf"), None])),
    ("points", pa.array([Decimal("1.50"), Decimal("-1.50")], pa.decimal128(10, 2))),
    ("points", pa.array(["1.5", "NaN", "inf", "1e3", "1e999"])),
    ("code", pa.array([1.5, float("nan"), float("inf"), None])),
    ("code", pa.array(["AB", "NaN", "a\0", '{"number":"NaN"}'])),
    ("code", pa.array([b"AB", b"\xff"])),
    ("code", pa.array(["AB", "ab"]).dictionary_encode()),
    ("day", pa.array([float("nan"), 1.0, None])),
    ("day", pa.array([MIDNIGHT, NOON], pa.timestamp("ns", "Europe/Berlin"))),
    ("day", pa.array([MIDNIGHT, NOON]).dictionary_encode()),
    ("day", pa.array([20_455, 10_000_000], pa.int32()).view(pa.date32())),
    ("day", pa.array(["2026-01-02", "2026-02-30"])),
]


@pytest.mark.parametrize(
    ("column", "values"), ODD_COLUMNS, ids=lambda value: str(getattr(value, "type", value))
)
def test_a_row_of_a_file_means_the_same_when_it_is_read_again(column: str, values: pa.Array) -> None:
    """All rows break a rule at first; without it they become, or are not, what they would have been."""
    batch = among_good(column, values)
    broken = replace(MEASURE, rules=(Range("id" if column != "id" else "points", low=100),))
    kept = check_batch(RawBatch(batch, str), broken, TODAY).rejected
    assert len(kept) == len(values)
    again = rows_of(*(kept_rows.from_json(row.row) for row in kept), from_text=True)
    assert [row.row for row in check_batch(again, broken, TODAY).rejected] == [row.row for row in kept]
    for dataset in (broken, replace(MEASURE, rules=()), MEASURE):
        first, second = (check_batch(raw, dataset, TODAY) for raw in (RawBatch(batch, str), again))
        assert second.good.to_pylist() == first.good.to_pylist()
        assert [row.reasons for row in second.rejected] == [row.reasons for row in first.rejected]


@pytest.mark.parametrize("depth", [100, 300, 1000])
def test_what_is_nested_very_deep_is_named_only(depth: int) -> None:
    deep = orjson.loads(b"[" * depth + b"]" * depth)
    spelled = kept_rows.to_json({"player_id": "x", "deep": deep})
    assert spelled.startswith('{"player_id":"x","deep":[[[')
    assert ("<nested deeper than 200 levels>" in spelled) == (depth > 200)


def test_what_json_has_no_word_for_is_spelled_deep_in_a_row_too() -> None:
    deep = [
        {"share": float("nan"), "cost": Decimal("1.50"), "picture": b"\xff", "text": "\ud800", "on": NOON}
    ]
    assert kept_rows.to_json({"deep": deep, "count": 2**70}) == (
        '{"deep":[{"share":{"number":"NaN"},"cost":1.50,"picture":{"base64":"/w=="},"text":"\\ud800",'
        f'"on":"2026-01-02T12:00:00"}}],"count":{2**70}}}'
    )


def test_an_object_that_an_api_sent_stands_for_nothing_else() -> None:
    for value in ({"number": "NaN"}, {"base64": "QUI="}):
        assert reasons(MEASURE, measure(code=value)) == [f"code: {value!r} is not text"]


def test_json_rows_have_to_be_objects_with_every_field_that_may_not_be_null() -> None:
    less = {name: value for name, value in player(2).items() if name not in ("gsis_id", "position")}
    checked = check_batch(rows_of(player(1), 7, [player(3)], less, None, player(4, extra=[1])), PLAYER, TODAY)
    assert checked.good.to_pylist() == [player(1), player(4)]
    assert checked.rejected == [
        Rejected("page 0, row 1", "7", ["7 is not a JSON object"]),
        Rejected(
            "page 0, row 2",
            orjson.dumps([player(3)]).decode(),
            [f"{str([player(3)])[:80]}… is not a JSON object"],
        ),
        Rejected("page 0, row 4", "null", ["None is not a JSON object"]),
        Rejected(
            "page 0, row 3",
            orjson.dumps(less).decode(),
            ["position: the field is missing"],
        ),
    ]


def test_malformed_rows_are_rejected_with_their_content() -> None:
    malformed = [Malformed("p.csv:1", b'1,"x', "2 fields"), Malformed("p.csv:2", b"\xff", "1 fields")]
    checked = check_batch(RawBatch([], str, malformed, share=0.5), PLAYER, TODAY)
    assert checked.rejected == [
        Rejected("p.csv:1", '"1,\\"x"', ["2 fields"]),
        Rejected("p.csv:2", '{"base64":"/w=="}', ["1 fields"]),
    ]
    assert (checked.read, checked.share) == (2, 0.5)
    assert (checked.good.num_rows, checked.good.schema) == (0, stored_schema(PLAYER))


@pytest.mark.parametrize("keep", [0, 1, 2, 3, 9, None])
def test_spells_out_no_more_than_asked(keep: int | None) -> None:
    malformed = [Malformed("p.csv:1", b"1", "1 fields")]
    raw = RawBatch([7, player(-1), player(1), player(-2)], str, malformed)
    checked = check_batch(raw, PLAYER, TODAY, keep=keep)
    assert [row.position for row in checked.rejected] == ["p.csv:1", "0", "1", "3"][:keep]
    assert (checked.rejected_count, checked.read) == (4, 5)


def test_rows_that_nobody_keeps_cost_no_memory() -> None:
    malformed = [Malformed(f"p.csv:{row}", b"1", "1 fields") for row in range(100_000)]
    raw = RawBatch([*range(100_000), *(player(-row) for row in range(1, 1000))], str, malformed)
    tracemalloc.start()
    check_batch(raw, PLAYER, TODAY, keep=10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


TEXT = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1, max_size=9)
GOOD = st.builds(
    player,
    st.integers(0, 2**63 - 1),
    gsis_id=st.none() | TEXT,
    first_name=TEXT,
    last_name=TEXT,
    position=st.sampled_from(["QB", "RB", "WR", "TE", "K", "DEF"]),
    last_changed_date=st.dates(date(1, 1, 1), TODAY).map(str),
)


@settings(max_examples=50)
@given(rows=st.lists(GOOD, min_size=1, max_size=20))
def test_one_row_means_the_same_however_it_arrives(
    rows: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder_path = tmp_path_factory.mktemp("rows")
    (folder_path / "p.csv").write_bytes(csv_bytes(rows))
    (folder_path / "p.parquet").write_bytes(parquet_bytes(rows))
    from_csv, from_parquet = (
        load(name, folder(folder_path), folder_path / "cache")[0] for name in ("p.csv", "p.parquet")
    )
    from_json = join([check_batch(rows_of(*orjson.loads(orjson.dumps(rows))), PLAYER, TODAY)])
    assert from_csv.to_pylist() == rows
    assert from_csv.equals(from_parquet)
    assert from_csv.equals(from_json)


DEFECTS = {
    b"x,,A,B,QB,2026-01-01": ["player_id: 'x' is not a whole number"],
    b"1.5,,A,B,QB,2026-01-01": ["player_id: '1.5' is not a whole number"],
    b"0x1,,A,B,QB,2026-01-01": ["player_id: '0x1' is not a whole number"],
    b",,A,B,QB,2026-01-01": ["player_id: is missing"],
    b"-1,,A,B,QB,2026-01-01": ["player_id: -1 is below 0"],
    b'1,,"",B,QB,2026-01-01': ["first_name: is missing"],
    b"1,,\xe9,B,QB,2026-01-01": ["found b'\\xe9', which is not valid in utf-8"],
    b"1,,A\0,B,QB,2026-01-01": ["first_name: 'A\\x00' contains a NUL character"],
    b"1,,A,B,XX,2026-01-01": ["position: 'XX' is not one of QB, RB, WR, TE, K, DEF"],
    b"1,,A,B,QB,2026-02-30": ["last_changed_date: '2026-02-30' is not a calendar date"],
    b"1,,A,B,QB,9999-01-01": ["last_changed_date: 9999-01-01 is after 2026-11-23"],
    b"1,,a,,XX,9999-01-01": [
        "last_name: is missing",
        "position: 'XX' is not one of QB, RB, WR, TE, K, DEF",
        "last_changed_date: 9999-01-01 is after 2026-11-23",
    ],
    b"1,,A,B,QB": ["5 fields, but the header has 6"],
    b"1,,A,B,QB,2026-01-01,x": ["7 fields, but the header has 6"],
    b"\xff\xfe": ["found b'\\xff', which is not valid in utf-8"],
}


LINES = st.lists(st.sampled_from([b'1,00-1,A,"B, Jr",QB,2026-11-01', *DEFECTS]), max_size=40)


@settings(max_examples=50)
@given(lines=LINES, block=st.integers(99, 500))
def test_every_row_is_accounted_for(
    lines: list[bytes], block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    account_for(lines, block, tmp_path_factory.mktemp("defects"))


@pytest.mark.soak
@seed(SEED)
@settings(max_examples=5000)
@given(lines=LINES, block=st.integers(99, 500))
def test_every_row_is_accounted_for_at_length(
    lines: list[bytes], block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    account_for(lines, block, tmp_path_factory.mktemp("defects"))


def account_for(lines: list[bytes], block: int, path: Path) -> None:
    """Write lines to a file, and find each of them among the good rows or the rejected ones."""
    (path / "p.csv").write_bytes(b"\n".join([HEADER.encode(), *lines, b""]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_blocks, "BLOCK", block)
        patch.setattr(csv_reader, "_ROWS", 1)
        good, rejected, read = load("p.csv", folder(path), path / "cache")
    defects = {f"p.csv:{number}": line for number, line in enumerate(lines, 2) if line in DEFECTS}
    assert (read, good.num_rows, len(rejected)) == (len(lines), len(lines) - len(defects), len(defects))
    assert {row.position: (content(row.row), list(row.reasons)) for row in rejected} == {
        position: (line.replace(b'""', b""), DEFECTS[line]) for position, line in defects.items()
    }


def content(row: str) -> bytes:
    """Return a rejected row as the line it was."""
    value = json.loads(row)
    cells = list(value.values()) if isinstance(value, dict) and "player_id" in value else [value]
    return b",".join(as_bytes(cell) for cell in cells)


def as_bytes(cell: object) -> bytes:
    match cell:
        case {"base64": str(packed)}:
            return base64.b64decode(packed)
        case None:
            return b""
    return str(cell).encode()
