"""CSV: nothing guessed, nothing dropped, and every row under its own number."""

import csv
import io
import subprocess
import sys
from itertools import cycle
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notebook_pipeline.contract.batch import Malformed, RawBatch
from notebook_pipeline.contract.utf8 import Utf8Stream
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.files import csv_reader

Found = tuple[dict[str, list[object]], list[Malformed]]


def read(path: Path, data: bytes) -> list[RawBatch]:
    path.write_bytes(data)
    return list(csv_reader.read_rows(path, "p.csv", None))


def read_one(tmp_path: Path, data: bytes) -> Found:
    """Return the good rows by position, and the malformed ones."""
    good = {}
    malformed = []
    for batch in read(tmp_path / "p.csv", data):
        assert batch.columns is not None
        rows = batch.columns.to_pylist()
        good |= {batch.position(index): list(row.values()) for index, row in enumerate(rows)}
        malformed += batch.malformed
    return good, malformed


def test_guesses_nothing(tmp_path: Path) -> None:
    data = b'a,b\nNA,Null\n"",\n1,2020-01-01\n true , 1\n'
    assert read_one(tmp_path, data) == (
        {
            "p.csv:1": ["NA", "Null"],
            "p.csv:2": [None, None],
            "p.csv:3": ["1", "2020-01-01"],
            "p.csv:4": [" true ", " 1"],
        },
        [],
    )


def test_takes_the_mark_and_the_line_ends_of_other_systems(tmp_path: Path) -> None:
    assert read_one(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4\r\n") == (
        {"p.csv:1": ["1", "2"], "p.csv:2": ["3", "4"]},
        [],
    )


def test_numbers_rows_across_malformed_ones(tmp_path: Path) -> None:
    good, malformed = read_one(tmp_path, b'a,b\n1\n1,2\n\n3,4,5\n6,"7\n7"\n"8,\n8"\n9,0\n')
    assert good == {"p.csv:2": ["1", "2"], "p.csv:4": ["6", "7\n7"], "p.csv:6": ["9", "0"]}
    assert malformed == [
        Malformed("p.csv:1", b"1", "1 fields, but the header has 2"),
        Malformed("p.csv:3", b"3,4,5", "3 fields, but the header has 2"),
        Malformed("p.csv:5", b'"8,\n8"', "1 fields, but the header has 2"),
    ]


def test_rows_are_found_behind_any_number_of_empty_lines(tmp_path: Path) -> None:
    good, malformed = read_one(tmp_path, b"a,b\n" + b"\n" * csv_reader._BLOCK + b"1,2\n")
    assert (good, malformed) == ({"p.csv:1": ["1", "2"]}, [])


def test_wide_rows_make_batches_of_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "_BLOCK", 1_000)
    monkeypatch.setattr(csv_reader, "_BYTES", 3_000)
    batches = read(tmp_path / "p.csv", b"a,b\n" + (b"x" * 400 + b",1\n") * 100)
    assert sum(len(batch) for batch in batches) == 100
    assert max(len(batch) for batch in batches) < 12


def test_quotes_within_a_value_are_characters(tmp_path: Path) -> None:
    assert read_one(tmp_path, b'a,b\nO"Neil,"say ""hi"""\n') == ({"p.csv:1": ['O"Neil', 'say "hi"']}, [])


def test_keeps_what_is_not_utf8(tmp_path: Path) -> None:
    data = "a,b\né,x\n".encode() + b"\xe9,\xff\xfe\n\xff\n\xe2\x82,\xf0\x9f\x8f\x88\n,z\n"
    good, malformed = read_one(tmp_path, data)
    assert good == {
        "p.csv:1": ["é".encode(), b"x"],
        "p.csv:2": [b"\xe9", b"\xff\xfe"],
        "p.csv:4": [b"\xe2\x82", "🏈".encode()],
        "p.csv:5": [None, b"z"],
    }
    assert malformed == [Malformed("p.csv:3", b"\xff", "1 fields, but the header has 2")]


def test_fails_where_a_quote_swallows_more_than_a_row_may_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "_BLOCK", 1 << 20)
    with pytest.raises(PipelineError) as error:
        read(tmp_path / "p.csv", b'a,b\n1,2\n3,"4\n' + b"5,6\n" * 1_000_000)
    assert str(error.value) == (
        "p.csv: found no end of a row within 1 MB after row 1; look for a quote that is never closed"
    )


# Arrow's thread is made slow, so that it is at work for sure when the interpreter ends.
LEFT_OPEN = """
import pathlib, sys, time
from notebook_pipeline.sources.files import csv_reader
is_utf8 = csv_reader.utf8.is_utf8
csv_reader.utf8.is_utf8 = lambda data: time.sleep(0.01) or is_utf8(data)
rows = csv_reader.read_rows(pathlib.Path(sys.argv[1]), "p.csv", None)
print(len(next(rows)) > 0)
"""


def test_a_reader_that_is_left_open_lets_the_process_end(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"a,b\n" + b"1,2\n" * 5_000_000)
    command = [sys.executable, "-c", LEFT_OPEN, tmp_path / "p.csv"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True\n", "")


LINES = st.lists(
    st.sampled_from(
        [b"1,2", b"3", b"4,5,6", b'7,"8\n8"', b'"9,9",0', b"\xff,1", b"\xff", b"", "é,ü".encode()]
    ),
    max_size=60,
)


@given(lines=LINES, block=st.integers(12, 80))
def test_blocks_do_not_show(lines: list[bytes], block: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compare with Python's own reader, which knows no blocks."""
    data = b"a,b\n" + b"".join(line + b"\n" for line in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "_BLOCK", block)
        patch.setattr(csv_reader, "_ROWS", 1)
        good, malformed = read_one(tmp_path_factory.mktemp("csv"), data)
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    rows = dict(enumerate(row for row in csv.reader(text) if row))
    expected = {f"p.csv:{number}": row for number, row in rows.items() if number and len(row) == 2}
    assert {position: [as_text(value) for value in row] for position, row in good.items()} == expected
    assert [(row.position, row.content.count(b",")) for row in malformed] == [
        (f"p.csv:{number}", len(row) - 1) for number, row in rows.items() if len(row) != 2
    ]


def as_text(value: object) -> object:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


@given(data=st.text() | st.binary(), sizes=st.lists(st.integers(1, 5), min_size=1))
def test_a_stream_is_mended_wherever_it_is_cut(data: str | bytes, sizes: list[int]) -> None:
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    whole, cut = Utf8Stream(pa.BufferReader(raw)), Utf8Stream(pa.BufferReader(raw))
    mended = read_all(whole, [1000])
    assert read_all(cut, sizes) == mended
    assert whole.marked == cut.marked == (mended != raw)
    assert csv_reader.utf8.original(mended.decode()) == raw


def read_all(stream: Utf8Stream, sizes: list[int]) -> bytes:
    pieces = []
    for size in cycle(sizes):
        piece = bytes(stream.read(size))
        assert len(piece) <= size
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
    raise AssertionError("not reached")
