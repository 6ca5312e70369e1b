"""Keys as text: the form in which the bookkeeping tables name a dataset's rows.

The text of a key of one column is its stored value as text; of several it is a compact JSON list of the
stored values, in the order of the key.
"""

import pyarrow as pa

from notebook_pipeline.declare import column_types
from notebook_pipeline.declare.column import FAMILIES
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.storage.database import Database, literal, quoted


def key_text(database: Database, dataset: Dataset, alias: str) -> str:
    """Return the SQL of the key, as text, of a row that has the dataset's key columns; `alias` names it."""
    return text_of(database, dataset, [f"{alias}.{quoted(name)}" for name in dataset.keys])


def rejected_key(database: Database, dataset: Dataset) -> str:
    """Return the SQL of the key, as text, of a row of `rejected_row`; it is null if it cannot be read."""
    columns = [database.json_key("row", name, dataset.schema.field(name).type) for name in dataset.keys]
    text = text_of(database, dataset, columns)
    if len(columns) == 1:
        return text
    return f"CASE WHEN {' AND '.join(f'{column} IS NOT NULL' for column in columns)} THEN {text} END"


def are_rejected_keys_readable(dataset: Dataset) -> bool:
    """Return True if `rejected_key` finds the key of a rejected row wherever the row came from.

    It finds integers and texts under the column's own name; sources write other types in several ways.
    """
    columns = [dataset.column(name) for name in dataset.keys]
    return all(
        pa.types.is_integer(column.type) or column_types.is_text(column.type) for column in columns
    ) and all(column.path(family) == (column.name,) for column in columns for family in FAMILIES)


def is_rejected(dataset: Dataset) -> str:
    """Return the SQL condition for a dataset's rows of `rejected_row`, as its partial index has it."""
    return f"dataset = {literal(dataset.name)}"


def text_of(database: Database, dataset: Dataset, columns: list[str]) -> str:
    """Return the SQL of a key, as text, given the SQL of its columns in the order of the key."""
    if len(columns) == 1:
        return f"CAST({columns[0]} AS TEXT)"
    return database.json_list(columns, [dataset.schema.field(name).type for name in dataset.keys])
