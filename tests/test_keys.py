"""Keys as text: those of stored rows, and the same ones read out of rejected rows."""

import json
from pathlib import Path

import databases
import pyarrow as pa
import pytest

from notebook_pipeline.declare import Column, Dataset
from notebook_pipeline.storage.connect import connect
from notebook_pipeline.storage.database import quoted
from notebook_pipeline.storage.keys import are_rejected_keys_readable, is_rejected, key_text, rejected_key
from notebook_pipeline.storage.tables import create_tables

pytestmark = pytest.mark.usefixtures("each_database")

STRANGE = 'a "b" \\ \n \t \b \f \r \x01 \x1f \x7f / \' ñ 😀 \u2028 </x>'
KEYS = [(7,), (-(2**63),), ("plain",), (STRANGE,), (7, "a"), (-3, STRANGE), ("", 2**63 - 1, "b")]


def dataset_of(key: tuple) -> Dataset:
    """Return a dataset whose key columns have the types of these values."""
    kinds = {int: pa.int64(), str: pa.string()}
    columns = [Column(f'k"{at}', kinds[type(value)], nullable=False) for at, value in enumerate(key)]
    names = tuple(column.name for column in columns)
    return Dataset("thing", columns, names[0] if len(names) == 1 else names)


def expected(key: tuple) -> str:
    """Return the documented text: the value itself, or a compact JSON list."""
    return str(key[0]) if len(key) == 1 else json.dumps(key, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("key", KEYS)
def test_the_text_of_a_stored_key_is_its_value_or_a_compact_list(tmp_path: Path, key: tuple) -> None:
    dataset = dataset_of(key)
    with connect(databases.connection(tmp_path)) as database:
        create_tables(database)
        values = ", ".join(f"? AS {quoted(name)}" for name in dataset.keys)
        sql = f"SELECT {key_text(database, dataset, 's')} FROM (SELECT {values}) s"
        assert database.execute(sql, key) == [(expected(key),)]


@pytest.mark.parametrize("key", KEYS)
def test_a_rejected_row_has_the_same_text_of_its_key(tmp_path: Path, key: tuple) -> None:
    dataset = dataset_of(key)
    with connect(databases.connection(tmp_path)) as database:
        create_tables(database)
        index = f"rejected_row (({rejected_key(database, dataset)})) WHERE {is_rejected(dataset)}"
        database.execute(f"CREATE INDEX rejected_thing ON {index}")
        fields = dict(zip(dataset.keys, key, strict=True))
        for row in (fields, {name: str(value) for name, value in fields.items()}, {"k": 1}, [1]):
            database.execute(
                "INSERT INTO rejected_row VALUES ('r', 'thing', 'f:1', ?, '[]')", [json.dumps(row)]
            )
        sql = f"SELECT {rejected_key(database, dataset)} FROM rejected_row ORDER BY rowid"
        assert database.execute(sql) == [(expected(key),), (expected(key),), (None,), (None,)]


def test_a_key_that_a_rejected_row_has_in_part_is_not_read(tmp_path: Path) -> None:
    dataset = dataset_of((1, "a"))
    with connect(databases.connection(tmp_path)) as database:
        create_tables(database)
        row = json.dumps({dataset.keys[0]: 1, dataset.keys[1]: None})
        database.execute("INSERT INTO rejected_row VALUES ('r', 'thing', 'f:1', ?, '[]')", [row])
        assert database.execute(f"SELECT {rejected_key(database, dataset)} FROM rejected_row") == [(None,)]


@pytest.mark.parametrize(
    ("column", "readable"),
    [
        (Column("k", pa.int32(), nullable=False), True),
        (Column("k", pa.string(), nullable=False), True),
        (Column("k", pa.string(), nullable=False, at={"files": "Key"}), False),
        (Column("k", pa.string(), nullable=False, at="a.k"), False),
        (Column("k", pa.decimal128(9, 2), nullable=False), False),
        (Column("k", pa.date32(), nullable=False), False),
        (Column("k", pa.timestamp("us", "UTC"), nullable=False), False),
        (Column("k", pa.bool_(), nullable=False), False),
    ],
)
def test_only_integers_and_texts_under_their_own_names_are_read_from_rejected_rows(
    column: Column, readable: bool
) -> None:
    number = Column("id", pa.int64(), nullable=False)
    assert are_rejected_keys_readable(Dataset("thing", [number, column], ("id", "k"))) is readable
