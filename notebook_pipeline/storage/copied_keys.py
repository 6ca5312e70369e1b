"""Keys that are recorded as text, in the form of the engine to which a database is copied.

Engines write some values in different ways: SQLite a truth value as 1, PostgreSQL as true.
"""

import json
from collections.abc import Iterable

import pyarrow as pa

from notebook_pipeline.contract.columns import from_values
from notebook_pipeline.declare import column_types
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.keys import key_text

_RECORDED = ("deleted_row", "row_place", "accepted_row")


def rewrite_recorded_keys(target: Database, datasets: Iterable[Dataset]) -> None:
    """Rewrite the keys that bookkeeping tables hold as the target writes them."""
    for dataset in datasets:
        if all(_is_plain(dataset.schema.field(name).type) for name in dataset.keys):
            continue
        for table in _RECORDED:
            there = target.execute(f"SELECT key FROM {table} WHERE dataset = ?", [dataset.name])
            for (text,) in there:
                target.execute(
                    f"UPDATE {table} SET key = ? WHERE dataset = ? AND key = ?",
                    [_rewritten(target, dataset, text), dataset.name, text],
                )


def _is_plain(kind: pa.DataType) -> bool:
    """Return True if both engines write values of a type in the same way."""
    is_same = pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_time(kind)
    return is_same or column_types.is_text(kind)


def _rewritten(target: Database, dataset: Dataset, text: str) -> str:
    parts = json.loads(text) if len(dataset.keys) > 1 else [text]
    values = [
        from_values([str(part)], dataset.schema.field(name).type, from_text=True).values[0].as_py()
        for name, part in zip(dataset.keys, parts, strict=True)
    ]
    bound = [target.bound(value) for value in values]
    named = ", ".join(f"{sql} AS {quoted(name)}" for name, (sql, _) in zip(dataset.keys, bound, strict=True))
    key = key_text(target, dataset, "k")
    [[found]] = target.execute(f"SELECT {key} FROM (SELECT {named}) k", [value for _, value in bound])
    return found
