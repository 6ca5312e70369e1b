"""The columns of a file, compared with the declared ones, and those that come from elsewhere."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast
from urllib.parse import unquote

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import is_number
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.columns import can_convert, from_column
from notebook_pipeline.contract.dates_and_times import Written
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.sources.files.csv_header import missing_columns
from notebook_pipeline.sources.undeclared import received_names

# What Hive and Spark name the folder of rows whose value is null.
_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


def names_in_file(dataset: Dataset) -> dict[str, str]:
    """Return the names of the columns that a file should have, each with the column's own name."""
    names = received_names(dataset, "files")
    return {name: column for name, column in names.items() if column not in dataset.files.folders}


def number_columns(dataset: Dataset) -> list[str]:
    """Return the names in a file of the columns that hold numbers."""
    return [
        name
        for name, column in names_in_file(dataset).items()
        if is_number(dataset.schema.field(column).type)
    ]


def folder_values(path: str, name: str, dataset: Dataset) -> dict[str, str | None]:
    """Return the values that the folders of a file give to columns, by the columns' names in files.

    Raises DataRefused if there is no such folder, or if its value does not fit.
    """
    found: dict[str, str | None] = {}
    for column in map(dataset.column, dataset.files.folders):
        [received] = column.path("files")
        texts = [
            part.partition("=")[2] for part in path.split("/")[:-1] if part.partition("=")[0] == received
        ]
        if not texts:
            raise DataRefused(
                f"{name}: found no folder {received}=… above this file, expected one because "
                f"Files(folders=…) names {column.name}; move the file, or remove the column from folders"
            )
        value = None if texts[-1] == _NULL_FOLDER else unquote(texts[-1])
        written = Written(column.written("files"), column.zone)
        breaches = from_column(pa.array([value], pa.string()), column.type, written).breaches
        wrong = [breach.reason(0) for breach in breaches if breach.bad.any()]
        if wrong:
            raise DataRefused(f"{name}: the folder {received}={texts[-1]}: {wrong[0]}; rename the folder")
        found[received] = value
    return found


def check_columns(name: str, schema: pa.Schema, dataset: Dataset, delimiter: str | None) -> list[str]:
    """Return the optional columns that a file lacks, by their names in files.

    Raises DataRefused if another one is missing, if a declared column appears twice, or has a type that never
    converts. `delimiter` is that of a CSV file.
    """
    expected, files = names_in_file(dataset), dataset.files
    absent = [received for received in expected if received not in schema.names]
    missing = [received for received in absent if expected[received] not in files.optional]
    if missing:
        raise DataRefused(f"{name}: {_missing(schema.names, missing, dataset, delimiter)}")
    both = [received for received in received_names(dataset, "files") if received not in expected]
    twice = sorted({*both} & {*schema.names})
    if twice:
        raise DataRefused(
            f"{name}: found {', '.join(twice)} both as columns and in Files(folders=…); remove them from one"
        )
    counts = Counter(schema.names)
    repeated = [received for received in expected if counts[received] > 1]
    if repeated:
        raise DataRefused(f"{name}: found duplicate columns {', '.join(repeated)}, expected each name once")
    for received in expected.keys() - {*absent}:
        found, column = schema.field(received).type, dataset.column(expected[received])
        if not can_convert(found, column.type, column.written("files")):
            raise DataRefused(f"{name}: found column {received} as {found}, expected {column.type}")
    return absent


def _missing(found: Sequence[str], missing: Sequence[str], dataset: Dataset, delimiter: str | None) -> str:
    expected = names_in_file(dataset)
    optional = [expected[one] for one in missing if dataset.schema.field(expected[one]).nullable]
    if delimiter is not None:
        seen, hint = missing_columns(found, missing, expected, dataset.files, delimiter)
    else:
        seen, hint = f"columns found: {', '.join(found)}" if found else "found no columns", ""
    if not hint and len(optional) == len(missing):
        hint = f"If files may lack it, declare Files(optional={tuple(optional)!r})"
    wanted = f"expected {', '.join(missing)}, which dataset {dataset.name!r} declares"
    return f"{seen}; {wanted}{'. ' * bool(hint)}{hint}"


def completed(batch: RawBatch, values: Mapping[str, str | None]) -> RawBatch:
    """Return a batch with one more column for each value, which is that of all its rows."""
    if not values:
        return batch
    if not isinstance(batch.received, pa.RecordBatch):
        rows = [{**values, **row} if isinstance(row, dict) else row for row in batch.received]
        return replace(batch, received=rows)
    columns = cast("pa.RecordBatch", batch.received)
    for name, value in values.items():
        columns = columns.append_column(name, pa.repeat(pa.scalar(value, pa.string()), len(columns)))
    return replace(batch, received=columns)
