"""CSV: nothing guessed, nothing dropped, and every row under its line."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notebook_pipeline.contract.batch import Malformed, RawBatch
from notebook_pipeline.declare import Files
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.sources.files import csv_reader, row_blocks
from notebook_pipeline.sources.files.csv_reader import CsvFile

Found = tuple[dict[str, list[object]], list[Malformed]]


def read(path: Path, data: bytes, numbers: Sequence[str] = (), **settings: Any) -> list[RawBatch]:
    path.write_bytes(data)
    files = Files(**settings)
    file = CsvFile(path, "p.csv", None, files, files.text_delimiter, ("a", "b"), 1e9)
    return list(csv_reader.read_rows(file, csv_reader.read_header(file), numbers))


def read_one(tmp_path: Path, data: bytes, numbers: Sequence[str] = (), **settings: Any) -> Found:
    """Return the good rows by position, and the malformed ones."""
    good = {}
    malformed = []
    for batch in read(tmp_path / "p.csv", data, numbers, **settings):
        assert batch.columns is not None
        rows = batch.columns.to_pylist()
        good |= {batch.position(index): list(row.values()) for index, row in enumerate(rows)}
        malformed += [replace(row, fields={}) for row in batch.malformed]
    return good, malformed


def refusal(tmp_path: Path, data: bytes, **settings: Any) -> str:
    with pytest.raises(DataRefused) as error:
        read(tmp_path / "p.csv", data, **settings)
    return str(error.value)


def test_guesses_nothing(tmp_path: Path) -> None:
    data = b'a,b\nNA,Null\n"",\n1,2020-01-01\n true , 1\n'
    assert read_one(tmp_path, data) == (
        {
            "p.csv:2": ["NA", "Null"],
            "p.csv:3": [None, None],
            "p.csv:4": ["1", "2020-01-01"],
            "p.csv:5": [" true ", " 1"],
        },
        [],
    )


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_takes_the_mark_and_the_line_ends_of_other_systems(tmp_path: Path, end: str) -> None:
    data = end.join(["\ufeffa,b", '1,"2', '2"', "", "3,4"])
    assert read_one(tmp_path, data.encode()) == (
        {"p.csv:2": ["1", f"2{end}2"], "p.csv:5": ["3", "4"]},
        [],
    )


def test_a_position_is_the_line_on_which_a_row_begins(tmp_path: Path) -> None:
    good, malformed = read_one(tmp_path, b'a,b\n1\n1,2\n\n3,4,5\n6,"7\n7"\n"8,\n8"\n9,0\n')
    assert good == {"p.csv:3": ["1", "2"], "p.csv:6": ["6", "7\n7"], "p.csv:10": ["9", "0"]}
    assert malformed == [
        Malformed("p.csv:2", b"1", "1 fields, but the header has 2"),
        Malformed("p.csv:5", b"3,4,5", "3 fields, but the header has 2"),
        Malformed("p.csv:8", b'"8,\n8"', "1 fields, but the header has 2"),
    ]


def test_rows_are_found_behind_any_number_of_empty_lines(tmp_path: Path) -> None:
    lines = row_blocks.BLOCK + 1
    good, malformed = read_one(tmp_path, b"a,b\n" + b"\n" * lines + b"1,2\n")
    assert (good, malformed) == ({f"p.csv:{lines + 2}": ["1", "2"]}, [])


def test_batches_have_at_most_so_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "_ROWS", 40)
    batches = read(tmp_path / "p.csv", b"a,b\nx\n" + b"x,1\n" * 100)
    assert [(len(batch.received), len(batch.malformed)) for batch in batches] == [(33, 1), (33, 0), (34, 0)]
    assert [batch.position(0) for batch in batches] == ["p.csv:3", "p.csv:36", "p.csv:69"]


def test_quotes_within_a_value_are_characters(tmp_path: Path) -> None:
    data = b'a,b\nO"Neil,"say ""hi"""\n5\'11",6\'\n'
    assert read_one(tmp_path, data) == (
        {"p.csv:2": ['O"Neil', 'say "hi"'], "p.csv:3": ["5'11\"", "6'"]},
        [],
    )


def test_a_value_of_several_lines_may_hold_any_delimiters(tmp_path: Path) -> None:
    recipe = "Ingredients: flour, sugar, eggs, butter, salt, milk\nMix well."
    data = f'id,day,a,b,c,text\n191,2025-01-01,a,1,2,"{recipe}"\n192,2025-01-02,"x,\n,\n",1,2,"a\n,,,,,\n"\n'
    assert read_one(tmp_path, data.encode()) == (
        {
            "p.csv:2": ["191", "2025-01-01", "a", "1", "2", recipe],
            "p.csv:4": ["192", "2025-01-02", "x,\n,\n", "1", "2", "a\n,,,,,\n"],
        },
        [],
    )


NOT_UTF8 = "which is not valid in utf-8"


def test_a_row_with_bytes_that_are_not_text_is_malformed(tmp_path: Path) -> None:
    data = "a,b\né,x\n".encode() + b'\xe9,"\xff\n"\n\xff\n\xe2\x82,\xf0\x9f\x8f\x88\n,z\n'
    assert read_one(tmp_path, data) == (
        {"p.csv:2": ["é", "x"], "p.csv:7": [None, "z"]},
        [
            Malformed("p.csv:3", b'\xe9,"\xff\n"', f"found b'\\xe9', {NOT_UTF8}"),
            Malformed("p.csv:5", b"\xff", f"found b'\\xff', {NOT_UTF8}"),
            Malformed("p.csv:6", b"\xe2\x82,\xf0\x9f\x8f\x88", f"found b'\\xe2\\x82', {NOT_UTF8}"),
        ],
    )


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-8-sig", "shift_jis", "gb18030"])
def test_reads_other_encodings(tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_blocks, "BLOCK", 7)
    word = "é—" if encoding == "cp1252" else "表\\"
    data = f'a,b\n1,{word}\n2,"{word}\n"\n'.encode(encoding)
    assert read_one(tmp_path, data, encoding=encoding) == (
        {"p.csv:2": ["1", word], "p.csv:3": ["2", f"{word}\n"]},
        [],
    )


def test_a_row_that_is_not_in_the_declared_encoding_is_malformed(tmp_path: Path) -> None:
    assert read_one(tmp_path, b"a,b\n\xe9,1\n\x81,2\n", encoding="cp1252") == (
        {"p.csv:2": ["é", "1"]},
        [Malformed("p.csv:3", b"\x81,2", "found b'\\x81', which is not valid in cp1252")],
    )


def test_a_file_is_refused_where_its_encoding_hides_the_rows(tmp_path: Path) -> None:
    data = "a,b\n1,2\n".encode("utf-16") + b"\0"
    assert refusal(tmp_path, data, encoding="utf-16") == (
        "p.csv, line 3: found bytes that are not valid in utf-16, expected text in this encoding; declare "
        "the right one in Files(encoding=…), or write the file again"
    )


DIALECTS = {
    "semicolons": (b'a;b\n1,5;"x;y"\n', {"delimiter": ";"}, {"p.csv:2": ["1,5", "x;y"]}),
    "tabs": (b"a\tb\n1\t2\n", {"format": "tsv"}, {"p.csv:2": ["1", "2"]}),
    "pipes of a tsv": (b"a|b\n1|2\n", {"format": "tsv", "delimiter": "|"}, {"p.csv:2": ["1", "2"]}),
    "single quotes": (b"a,b\n'1,\"','x''y'\n", {"quote": "'"}, {"p.csv:2": ['1,"', "x'y"]}),
    "no quotes": (b'a,b\n"1,2"\n', {"quote": ""}, {"p.csv:2": ['"1', '2"']}),
    "escapes": (
        b'a,b\n1,"a \\"b\\", \\\\"\n\\N,"x\\\ny""z"\n"C:\\dir","\\\\"\n',
        {"escape": "\\"},
        {
            "p.csv:2": ["1", 'a "b", \\'],
            "p.csv:3": ["\\N", 'x\ny"z'],
            "p.csv:5": ["C:\\dir", "\\"],
        },
    ),
    "escapes without quotes": (
        b"a,b\n1\\,5,x\\\\\n2,\\t\\\ny\n",
        {"escape": "\\", "quote": ""},
        {"p.csv:2": ["1,5", "x\\"], "p.csv:3": ["2", "\\t\ny"]},
    ),
    "a quote that escapes itself": (b'a,b\n1,"x""y"\n', {"escape": '"'}, {"p.csv:2": ["1", 'x"y']}),
    "no header": (b"1,2\n\n3,4\n", {"header": False}, {"p.csv:1": ["1", "2"], "p.csv:3": ["3", "4"]}),
    "nulls": (b'a,b\nNA,-\n"",x\n', {"nulls": ("NA", "-")}, {"p.csv:2": [None, None], "p.csv:3": ["", "x"]}),
    "lines before the header": (
        b'Report "of\r\nunits\n\na,b\n1,2\n',
        {"skip_lines": 3},
        {"p.csv:5": ["1", "2"]},
    ),
    "comments": (
        b'# don\'t "\na,b\n# "x\n1,"2\n# no comment"\n\n#\n3,#4\n#end',
        {"comment": "#"},
        {"p.csv:4": ["1", "2\n# no comment"], "p.csv:8": ["3", "#4"]},
    ),
    "comments of two characters": (b"--x\na,b\n-1,2\n", {"comment": "--"}, {"p.csv:3": ["-1", "2"]}),
}


@pytest.mark.parametrize("case", DIALECTS)
@pytest.mark.parametrize("block", [1, 5, 1 << 20])
def test_reads_what_is_declared(
    tmp_path: Path, case: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_blocks, "BLOCK", block)
    data, settings, expected = DIALECTS[case]
    assert read_one(tmp_path, data, **settings) == (expected, [])


def test_turns_numbers_into_plain_digits(tmp_path: Path) -> None:
    data = b"a;b\n1.234.567,5;1,5\n-12;x\n+0,25e3;\n;.\n 7 ;7\n1.5;y\n1.23,4;y\nten;y\n"
    good, malformed = read_one(tmp_path, data, ["a"], delimiter=";", decimal=",", thousands=".")
    assert good == {
        "p.csv:2": ["1234567.5", "1,5"],
        "p.csv:3": ["-12", "x"],
        "p.csv:4": ["+0.25e3", None],
        "p.csv:5": [None, "."],
        "p.csv:6": ["7", "7"],
    }
    reason = "is not a number with decimal ',' and thousands '.'"
    assert malformed == [
        Malformed("p.csv:7", b"1.5;y", f"a: '1.5' {reason}"),
        Malformed("p.csv:8", b"1.23,4;y", f"a: '1.23,4' {reason}"),
        Malformed("p.csv:9", b"ten;y", f"a: 'ten' {reason}"),
    ]


def test_leaves_out_columns_without_a_name_of_their_own(tmp_path: Path) -> None:
    [batch] = read(tmp_path / "p.csv", b"a,x,,x,b,\n1,2,3,4,5,6\n")
    assert batch.columns is not None
    assert batch.columns.to_pylist() == [{"a": "1", "b": "5"}]


def test_passes_over_a_trailing_delimiter(tmp_path: Path) -> None:
    rows = b"1,2,\n" * 99 + b"6,,\n3,4,5\n7,8\n"
    good, malformed = read_one(tmp_path, b"a,b\n" + rows)
    assert good == {**{f"p.csv:{line}": ["1", "2"] for line in range(2, 101)}, "p.csv:101": ["6", None]}
    assert malformed == [
        Malformed("p.csv:102", b"3,4,5", "3 fields, but the header has 2"),
        Malformed("p.csv:103", b"7,8", "2 fields, but every row before has 3"),
    ]
    assert read_one(tmp_path, b"a,b\n1,2,\n3,4\n") == (
        {"p.csv:3": ["3", "4"]},
        [Malformed("p.csv:2", b"1,2,", "3 fields, but the header has 2")],
    )
    assert read_one(tmp_path, b"1,2,\n3,4,\n", header=False) == (
        {"p.csv:1": ["1", "2"], "p.csv:2": ["3", "4"]},
        [],
    )


def test_rejects_a_row_with_text_behind_a_closing_quote(tmp_path: Path) -> None:
    reason = "text follows a closing quote; a quote within a quoted value must be doubled"
    assert read_one(tmp_path, b'a,b\n1,"x" y\n2,3\n"4"5,6\n') == (
        {"p.csv:3": ["2", "3"]},
        [Malformed("p.csv:2", b'1,"x" y', reason), Malformed("p.csv:4", b'"4"5,6', reason)],
    )


UNCLOSED = "the file ends within a quoted value of the row that begins here"
HIDDEN = "found text behind the closing quote of a value of several lines, which may hide other rows"
ESCAPED = (
    "p.csv, line {}: found a quote behind a backslash within a quoted value; if the backslash is an escape "
    "in this file, declare Files(escape='\\\\'), else double the quote"
)


@pytest.mark.parametrize("block", [1, 6, 1 << 20])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (b'4,"5\n6,7\n8,"9"\n', f"p.csv, line 3: {HIDDEN}"),
        (b'4,"5\n6,7\n8,9\n', f"p.csv, line 3: {UNCLOSED}"),
        (b'4,"5', f"p.csv, line 3: {UNCLOSED}"),
        (b'4,"a \\"b\\""\n5,6\n', ESCAPED.format(3)),
        (b'4,"a\\""\n5,"6"\n', ESCAPED.format(3)),
        (b'4,"a\\""\n5,6\n', ESCAPED.format(3)),
    ],
)
def test_refuses_a_file_whose_quotes_may_hide_rows(
    tmp_path: Path, rows: bytes, message: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_blocks, "BLOCK", block)
    assert refusal(tmp_path, b"a,b\n1,2\n" + rows).startswith(message)


def test_names_the_escape_where_it_changes_the_number_of_fields(tmp_path: Path) -> None:
    assert read_one(tmp_path, b'a,b\n1,"x \\", y"\n')[1] == [
        Malformed(
            "p.csv:2",
            b'1,"x \\", y"',
            "3 fields, but the header has 2; is the backslash an escape? Declare Files(escape='\\\\')",
        )
    ]


def test_loads_a_long_field(tmp_path: Path) -> None:
    long = b"x" * 20_000_000
    assert read_one(tmp_path, b'a,b\n1,2\n3,"' + long + b'"\n5,6\n') == (
        {"p.csv:2": ["1", "2"], "p.csv:3": ["3", long.decode()], "p.csv:4": ["5", "6"]},
        [],
    )


def test_names_a_row_that_is_too_long_with_its_size_and_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_blocks, "BLOCK", 1 << 18)
    monkeypatch.setattr(row_blocks, "LONGEST_ROW", 1 << 20)
    said = refusal(tmp_path, b'a,b\n1,2\n3,"4\n' + b"5,6\n" * 1_000_000)
    assert re.fullmatch(
        r"p\.csv, line 3: found a row of more than [0-9,]+ bytes, expected at most 1,048,576 \(1 MB\); write "
        "the file with shorter rows",
        said,
    )


LINES = st.lists(
    st.sampled_from(
        [b"1,2", b"3", b"4,5,6", b'7,"8\n8"', b'"9,9",0', b'x"y,z', b"", "é,ü".encode(), b'"",""""']
    ),
    max_size=60,
)


@given(lines=LINES, block=st.integers(1, 80), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_blocks_do_not_show(
    lines: list[bytes], block: int, end: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Compare with Python's own reader, which knows no blocks."""
    data = b"a,b" + end + b"".join(line + end for line in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_blocks, "BLOCK", block)
        good, malformed = read_one(tmp_path_factory.mktemp("csv"), data)
    reader = csv.reader(io.StringIO(data.decode(), newline=""))
    rows, line = {}, 1
    for row in reader:
        if row and line > 1:
            rows[f"p.csv:{line}"] = [value or None for value in row]
        line = reader.line_num + 1
    assert good == {position: row for position, row in rows.items() if len(row) == 2}
    assert [row.position for row in malformed] == [
        position for position, row in rows.items() if len(row) != 2
    ]
