"""Parquet's INT96 timestamps: nanoseconds in any year, which no type of Arrow holds.

They are read in microseconds, which are right in every year, and in nanoseconds, which overflow outside the
years 1677 to 2262 but keep the last three digits.
"""

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from notebook_pipeline.contract.arrow_functions import pc


def int96_columns(schema: parquet.ParquetSchema) -> list[str]:
    """Return the names of the columns that have this type."""
    columns = [schema.column(index) for index in range(len(schema))]
    return [
        column.name for column in columns if column.physical_type == "INT96" and column.path == column.name
    ]


def with_all_digits(batch: pa.RecordBatch, in_nanoseconds: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch in which columns with digits beyond microseconds are text with all their digits."""
    for name in in_nanoseconds.schema.names:
        place = batch.schema.get_field_index(name)
        micros, nanos = batch.column(place), in_nanoseconds.column(name)
        beyond = _beyond(micros, nanos)
        if beyond.any():
            last = pa.array([f"{digits:03}" for digits in beyond.tolist()])
            text = pc.binary_join_element_wise(micros.cast(pa.string()), last, "")
            batch = batch.set_column(place, name, text)
    return batch


def _beyond(micros: pa.Array, nanos: pa.Array) -> np.ndarray:
    """Return the three digits beyond microseconds of each value; the difference is right despite overflow."""
    low, high = (
        column.cast(pa.int64()).fill_null(0).to_numpy().astype(np.uint64) for column in (micros, nanos)
    )
    return high - low * np.uint64(1000)
