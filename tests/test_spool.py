"""Checked batches come back from disk as they went, and nothing is left behind."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from declared import PLAYER

from notebook_pipeline.contract.batch import Malformed, RawBatch
from notebook_pipeline.contract.check_batch import check_batch
from notebook_pipeline.contract.child_rows import with_children
from notebook_pipeline.steps.spool import Spool
from tests.test_child_rows import NESTED, ORDER

TODAY = date(2024, 9, 24)


def row(key: int, **other: object) -> dict:
    good = {
        "gsis_id": None,
        "first_name": "Zoë",
        "last_name": "O'Tarn",
        "position": "QB",
        "last_changed_date": "2024-09-01",
    }
    return {"player_id": key} | good | other


def raw(*rows: object, malformed: int = 0) -> RawBatch:
    broken = [Malformed(f"line {index}", b"{", "is no row") for index in range(malformed)]
    return RawBatch(rows, lambda index: f"page 0, row {index}", broken)


BATCHES = [
    raw(row(1), row(2, position="GOALIE"), row(3)),
    raw(row(4, player_id=None)),
    raw(7, malformed=2),
    raw(row(5), row(5, first_name="Élan")),
]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, PLAYER, TODAY, keep=100)


def test_batches_come_back_in_order_as_the_contract_split_them(spool: Spool):
    for batch in BATCHES:
        spool.add(batch)
    found = list(spool.batches())
    expected = [check_batch(batch, PLAYER, TODAY) for batch in BATCHES]
    assert [checked.good.to_pylist() for checked in found] == [
        checked.good.to_pylist() for checked in expected
    ]
    assert [checked.rejected for checked in found] == [checked.rejected for checked in expected]
    assert [(checked.read, checked.rejected_count) for checked in found] == [(3, 1), (1, 1), (3, 3), (2, 0)]
    assert [checked.share for checked in found] == [3 / 9, 4 / 9, 7 / 9, 1.0]
    assert [checked.good.num_rows for checked in spool.batches()] == [2, 0, 0, 2], "they can be read again"


def test_only_so_many_rejected_rows_are_spelled_out_and_all_are_counted(tmp_path: Path):
    spool = Spool(tmp_path, PLAYER, TODAY, keep=2)
    for batch in BATCHES:
        spool.add(batch)
    found = list(spool.batches())
    assert sum(len(checked.rejected) for checked in found) == 2
    assert sum(checked.rejected_count for checked in found) == 5


def test_beginning_again_forgets_everything(spool: Spool):
    spool.add(BATCHES[0])
    spool.begin()
    spool.add(BATCHES[3])
    (checked,) = spool.batches()
    assert [row["first_name"] for row in checked.good.to_pylist()] == ["Zoë", "Élan"]
    assert (checked.read, checked.share) == (2, 1.0)


def test_nothing_read_is_no_batch(spool: Spool):
    assert list(spool.batches()) == []


def test_no_file_can_be_found_or_is_left(spool: Spool, tmp_path: Path):
    spool.add(BATCHES[0])
    list(spool.batches())
    assert list(tmp_path.iterdir()) == []


def test_good_rows_do_not_stay_in_memory(spool: Spool):
    large = raw(*(row(key, last_name="x" * 1000) for key in range(1000)))
    before = pa.total_allocated_bytes()
    for _ in range(10):
        spool.add(large)
    assert pa.total_allocated_bytes() - before < 1_000_000
    assert sum(checked.good.num_rows for checked in spool.batches()) == 10_000


def test_nested_rows_come_back_with_their_parents(tmp_path: Path):
    spool = Spool(tmp_path, ORDER, TODAY, keep=100, nested=[NESTED])
    batches = [
        raw({"id": 1, "day": "2024-09-01", "detail": {"lines": [{"number": {"value": n}} for n in (1, 2)]}}),
        raw({"id": None}, {"id": 2, "day": "2024-09-02", "detail": {"lines": []}}),
        raw({"id": 3, "day": "2024-09-03", "detail": {"lines": [{"number": {"value": 5}}, 7]}}),
    ]
    batches = [replace(batch, family="api") for batch in batches]
    for batch in batches:
        spool.add(batch)
    expected = [with_children(check_batch(batch, ORDER, TODAY), [NESTED], TODAY) for batch in batches]
    assert [found.children for found in spool.batches()] == [checked.children for checked in expected]
    assert [found.children["line"].good.num_rows for found in spool.batches()] == [2, 0, 1]
