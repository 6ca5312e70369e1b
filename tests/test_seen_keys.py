"""Keys are collected compactly, and one that comes on two pages is found."""

from collections.abc import Iterable

import pyarrow as pa

from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare import Column, Dataset
from notebook_pipeline.sources.http import seen_keys
from notebook_pipeline.sources.http.seen_keys import Repeated


class Keys(seen_keys.Keys):
    """The keys of a dataset with one key column, added as values."""

    def __init__(self, key_type: pa.DataType) -> None:
        super().__init__(Dataset("thing", [Column("k", key_type, nullable=False)], "k"))

    def add(self, values: Iterable[object]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().add(RawBatch([{"k": value} for value in values], str))


def test_what_is_no_key_is_counted_only():
    keys = Keys(pa.int64())
    keys.add([1, "x", None, 3.0, True, 2**63, -(2**63), 2**63 - 1, [4]])
    assert keys.array().to_pylist() == [1, 3, -(2**63), 2**63 - 1]
    assert keys.without_key == 5


def test_a_key_that_is_spelled_in_two_ways_is_one_key():
    keys = Keys(pa.int64())
    for page in ([1, 2], [3, "1.0"]):
        keys.add(page)
    assert keys.repeated(now=True) == Repeated(1, (0, 1))


def test_text_keys():
    keys = Keys(pa.string())
    keys.add(["ä", "", True, None])
    assert keys.array().to_pylist() == ["ä", ""]
    assert keys.without_key == 2


def test_a_key_twice_on_one_page_is_no_shift():
    keys = Keys(pa.int64())
    keys.add([5, 5, 6])
    assert len(keys) == 2
    assert keys.repeated(now=True) is None


def test_a_key_on_two_pages_is_named_with_its_pages():
    keys = Keys(pa.int64())
    for page in ([1, 2], [3, 4], [5, 6], [7, 4]):
        keys.add(page)
    assert keys.repeated(now=True) == Repeated(4, (1, 3))
    assert sorted(keys.array().to_pylist()) == [1, 2, 3, 4, 5, 6, 7]


def test_a_page_that_comes_for_ever_is_seen_long_before_the_end():
    keys = Keys(pa.int64())
    seen = []
    for _ in range(8):
        keys.add(range(100))
        seen.append(keys.repeated(now=False) is not None)
    assert seen[1]


def test_no_page_means_no_key():
    keys = Keys(pa.int64())
    assert keys.repeated(now=True) is None
    assert keys.array().type == pa.int64()
    assert len(keys.array()) == 0


def test_keys_take_a_few_bytes_each():
    keys = Keys(pa.int64())
    before = pa.total_allocated_bytes()
    for page in range(100):
        keys.add(range(page * 1000, page * 1000 + 1000))
    assert pa.total_allocated_bytes() - before < 100_000 * 10


def test_pages_in_the_order_of_their_keys_that_end_out_of_it_are_compared():
    keys = Keys(pa.int64())
    for page in ([2, 1], [3, 4], [], [9, 8], [7, 3]):
        keys.add(page)
    assert keys.repeated(now=True) == Repeated(3, (1, 4))


def test_text_keys_on_two_pages():
    keys = Keys(pa.string())
    for page in (["b", "a"], ["c"], ["a"]):
        keys.add(page)
    assert keys.repeated(now=True) == Repeated("a", (0, 2))


def test_a_key_at_the_seam_of_two_pages_is_found():
    keys = Keys(pa.int64())
    keys.add([1, 2])
    keys.add([2, 3])
    assert keys.repeated(now=True) == Repeated(2, (0, 1))


def test_order_once_lost_is_not_trusted_again():
    keys = Keys(pa.int64())
    for page in ([5, 6], [5, 4], [7, 8]):
        keys.add(page)
    assert keys.repeated(now=True) == Repeated(5, (0, 1))


def test_a_repetition_is_seen_before_the_keys_have_doubled():
    keys = Keys(pa.int64())
    for page in range(10, 0, -1):
        keys.add(range(page * 100, page * 100 + 100))
        assert keys.repeated(now=False) is None
    for _ in range(11):
        keys.add(range(100, 200))
        if keys.repeated(now=False):
            return
    raise AssertionError("never seen")


def test_keys_of_several_columns():
    columns = [Column("a", pa.int64(), nullable=False), Column("b", pa.string(), nullable=False)]
    keys = seen_keys.Keys(Dataset("thing", columns, ("a", "b")))
    pages = [[(1, "1:2"), (11, ":2"), (1, "1:2")], [(None, "x"), (2, None), (1, "2")], [(1, "1:2")]]
    for page in pages:
        keys.add(RawBatch([{"a": a, "b": b} for a, b in page], str))
    assert keys.without_key == 2
    assert keys.array().to_pylist() == [{"a": a, "b": b} for a, b in [(1, "1:2"), (11, ":2"), (1, "2")]]
    assert keys.repeated(now=True) == Repeated({"a": 1, "b": "1:2"}, (0, 2))
