"""Hold a received batch to its dataset's contract: good rows as they are stored, the rest with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from notebook_pipeline.datasets import Dataset


@dataclass(frozen=True)
class Rejected:
    """Hold one row that broke the contract: where it stood, what was received (JSON), and every reason."""

    position: str
    row: str
    reasons: Sequence[str]


@dataclass(frozen=True)
class Checked:
    """Hold a batch split in two: `good` in stored types, `rejected` spelled out; `read` rows in all.

    `rejected` may be shorter than `rejected_count`, where the caller asked for fewer to be spelled out.
    """

    good: pa.RecordBatch
    rejected: Sequence[Rejected]
    read: int

    @property
    def rejected_count(self) -> int:
        """Count all rejected rows, spelled out or not."""
        return self.read - self.good.num_rows


def stored_schema(dataset: Dataset) -> pa.Schema:
    """Return the schema that good rows have and the database stores: days are ISO text."""
    return pa.schema(
        [field.with_type(pa.string()) if pa.types.is_date(field.type) else field for field in dataset.schema]
    )
