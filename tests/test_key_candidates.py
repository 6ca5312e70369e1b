"""The columns that may be a key or a cursor."""

import pyarrow as pa
import pytest

from notebook_pipeline.discovery.key_candidates import KeyGuess, guess_cursor, guess_key
from notebook_pipeline.discovery.seen_table import SeenColumn
from notebook_pipeline.discovery.value_columns_seen import json_column

Table = dict[str, list[object]]


def columns(table: Table) -> list[SeenColumn]:
    return [json_column(name, name, values) for name, values in table.items()]


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ({"id": [1, 2], "n": [1, 1]}, KeyGuess(("id",), [], True)),
        ({"mail": ["a", "b"], "thing_id": [1, 2]}, KeyGuess(("thing_id",), [("mail",)], True)),
        ({"id": [1, None], "mail": ["a", "b"]}, KeyGuess(("mail",), [], True)),
        ({"size": [0.5, 1.5], "mail": ["a", "b"]}, KeyGuess(("mail",), [], True)),
        (
            {"order": [1, 1, 2, 2], "line": [1, 2, 1, 2], "n": [5, 6, 7, 8]},
            KeyGuess(("order", "line"), [("n",)], True),
        ),
        (
            {"a": [1, 1, 1, 1, 2], "b": [1, 1, 2, 2, 1], "c": [1, 2, 1, 2, 1]},
            KeyGuess(("a", "b", "c"), [], True),
        ),
        # Rows that are repeated as a whole say nothing against a key.
        ({"id": [1, 1, 2], "n": [5, 5, 5]}, KeyGuess(("id",), [], True)),
        ({"a": [1, 1, 2], "f": [0.5, 1.5, 0.5]}, KeyGuess(("a",), [], False)),
        ({"f": [0.5, 1.5]}, None),
    ],
)
def test_a_key_is_unique_and_never_null(table: Table, found: KeyGuess | None) -> None:
    assert guess_key(columns(table), "thing") == found


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ({"born": ["2024-01-01"], "updated_at": ["2024-01-01T00:00:00Z"]}, ("updated_at", ["born"])),
        ({"born": ["2024-01-01"]}, ("", ["born"])),
        ({"updated": ["2024-01-01", None]}, ("", [])),
        ({"updated": ["yes"]}, ("", [])),
    ],
)
def test_a_cursor_is_the_time_of_a_change_by_its_name(table: Table, found: tuple[str, list[str]]) -> None:
    assert guess_cursor(columns(table)) == found


def test_a_column_of_many_values_is_not_counted_as_null() -> None:
    assert not json_column("id", "id", [1, 2]).has_nulls
    assert json_column("id", "id", []).has_nulls
    assert json_column("id", "id", [1]).seen.type == pa.int64()
