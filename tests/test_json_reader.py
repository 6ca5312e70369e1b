"""JSON files: objects on lines or in a list, each row under its position."""

from pathlib import Path

import orjson
import pytest

from notebook_pipeline.contract.batch import Malformed
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.sources.files import json_reader
from tests.bulk_data import folder, load, player

ROWS = [player(1), player(2, gsis_id=None)]


def lines(*rows: object) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def read(path: Path, data: bytes, size: int = 1 << 20) -> tuple[dict[str, object], list[Malformed]]:
    path.write_bytes(data)
    good, malformed = {}, []
    for batch in json_reader.read_rows(path, "p.jsonl", None, 1e9, size=size):
        good |= {batch.position(index): row for index, row in enumerate(batch.received)}
        malformed += batch.malformed
    return good, malformed


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("p.jsonl", lines(*ROWS)),
        ("p.ndjson", b"\xef\xbb\xbf" + lines(*ROWS).replace(b"\n", b"\r\n\r\n").rstrip()),
        ("p.json", b"\n " + orjson.dumps(ROWS, option=orjson.OPT_INDENT_2)),
        ("p.json", lines(*ROWS)),
    ],
)
def test_loads_json(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    good, rejected, count = load(name, folder(tmp_path), tmp_path / "cache")
    assert (good.to_pylist(), rejected, count) == (ROWS, [], 2)


@pytest.mark.parametrize("size", [1, 20, 1 << 20])
def test_a_line_that_is_not_one_object_is_rejected_with_its_position(tmp_path: Path, size: int) -> None:
    two = b'{"a": 3}, {"a": 4}'
    data = b'{"a": 1}\n\n{"a": NaN}\n{"a": 2\n[1]\n' + two + b'\n  {"a": "x\\ny"}  \n{"a": "\xff"}\n{"a": 5}'
    good, malformed = read(tmp_path / "p.jsonl", data, size)
    assert good == {
        "p.jsonl:1": {"a": 1},
        "p.jsonl:5": [1],
        "p.jsonl:7": {"a": "x\ny"},
        "p.jsonl:9": {"a": 5},
    }
    assert [(row.position, row.content) for row in malformed] == [
        ("p.jsonl:3", b'{"a": NaN}'),
        ("p.jsonl:4", b'{"a": 2'),
        ("p.jsonl:6", two),
        ("p.jsonl:8", b'{"a": "\xff"}'),
    ]
    assert all(row.reason.startswith("is not JSON: ") for row in malformed)


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    good, _ = read(
        tmp_path / "p.jsonl", b'{"a": 12345678901234567890123, "b": 0.12345678901234567890}\n{"a": 1.5}'
    )
    assert str(good["p.jsonl:1"]) == "{'a': 12345678901234567890123, 'b': Decimal('0.12345678901234567890')}"
    assert good["p.jsonl:2"] == {"a": 1.5}


def test_a_list_is_numbered_and_must_be_whole(tmp_path: Path) -> None:
    assert read(tmp_path / "p.json", b'[{"a": 1}, 2]') == ({"p.jsonl:1": {"a": 1}, "p.jsonl:2": 2}, [])
    with pytest.raises(
        DataRefused, match=r"^p\.jsonl: found a JSON list that is not valid: .*; write the file again$"
    ):
        read(tmp_path / "p.json", b'[{"a": 1}, ')


def test_a_list_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_reader, "LONGEST_LIST", 1 << 20)
    with pytest.raises(
        DataRefused, match="a JSON list of more than 1 MB, expected a shorter one; write large files"
    ):
        read(tmp_path / "p.json", b"[" + b" " * (1 << 21) + b"]")
