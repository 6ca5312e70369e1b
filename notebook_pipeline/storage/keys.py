"""Keys as text: the form in which the bookkeeping tables name a dataset's rows.

The text of a key of one column is its stored value as text; of several it is a compact JSON list of the
stored values, in the order of the key.
"""

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


def is_rejected(dataset: Dataset) -> str:
    """Return the SQL condition for a dataset's rows of `rejected_row`, as its partial index has it."""
    return f"dataset = {literal(dataset.name)}"


def text_of(database: Database, dataset: Dataset, columns: list[str]) -> str:
    """Return the SQL of a key, as text, given the SQL of its columns in the order of the key."""
    if len(columns) == 1:
        return f"CAST({columns[0]} AS TEXT)"
    return database.json_list(columns, [dataset.schema.field(name).type for name in dataset.keys])
