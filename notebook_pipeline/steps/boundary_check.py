"""The check whether an API gives the rows whose cursor equals the watermark, which it is asked for again."""

import pyarrow as pa

from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.steps.session import Session
from notebook_pipeline.storage.database import quoted

# So many of them are looked for: enough to tell a filter that excludes its value from rows that have gone.
_MOST = 1_000


def boundary_notes(run: Session, watermark: str, keys: pa.Array) -> list[str]:
    """Return a note if none of the stored rows with the watermark's cursor is among these keys.

    Only cursors that are days or integers are compared: of moments, several rows rarely share one.
    """
    dataset = run.dataset
    if not watermark or dataset.cursor is None or pa.types.is_timestamp(dataset.column(dataset.cursor).type):
        return []
    stored = _stored_keys(run, dataset, watermark)
    received = {_as_text(key) for key in keys.to_pylist()}
    if not stored or any(key in received for key in stored):
        return []
    return [
        f"none of the stored rows with {dataset.cursor} = {watermark} came back, although they were asked "
        "for: if the API's filter excludes its value, set inclusive=False in the Since of the dataset's Rest"
    ]


def _stored_keys(run: Session, dataset: Dataset, watermark: str) -> list[tuple[str, ...]]:
    is_number = pa.types.is_integer(dataset.column(dataset.cursor or "").type)
    names = ", ".join(quoted(name) for name in dataset.keys)
    rows = run.database.execute(
        f"SELECT {names} FROM {quoted(dataset.name)} WHERE {quoted(dataset.cursor or '')} = ? LIMIT {_MOST}",
        [int(watermark) if is_number else watermark],
    )
    return [tuple(map(str, row)) for row in rows]


def _as_text(key: object) -> tuple[str, ...]:
    return tuple(map(str, key.values())) if isinstance(key, dict) else (str(key),)
