"""The columns of a CSV file, from a sample of their texts."""

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.discovery.column_names import column_names
from notebook_pipeline.discovery.null_texts import MARKERS, nulls_of
from notebook_pipeline.discovery.number_notation import notation_of
from notebook_pipeline.discovery.seen_table import SeenColumn, codes_of
from notebook_pipeline.discovery.text_types import NO_VALUE, SeenType, plain_numbers, type_of_texts
from notebook_pipeline.sources.files.number_text import NumberText

LONG_TEXT = 40
MOST_VALUES = 12
_LEAST_EACH = 3


def text_columns(columns: Mapping[str, pa.Array], files: Files) -> tuple[list[SeenColumn], Files, list[str]]:
    """Return the columns with their types, the file's notation of numbers and nulls, and remarks on it."""
    distinct = {name: _distinct(column) for name, column in columns.items()}
    without = [[text for text in texts if text and text not in MARKERS] for texts in distinct.values()]
    notation, remarks = notation_of(without)
    nulls = nulls_of(distinct, notation)
    files = replace(files, decimal=notation.decimal, thousands=notation.thousands, nulls=nulls.texts)
    found = []
    for (received, column), name in zip(columns.items(), column_names([*columns]), strict=True):
        texts = [text for text in distinct[received] if text not in nulls.texts]
        seen = type_of_texts(texts, notation)
        if received in nulls.remarks:
            kept = tuple(remark for remark in seen.remarks if remark != NO_VALUE)
            seen = replace(seen, remarks=(*kept, nulls.remarks[received]))
        is_null = pc.is_in(column, value_set=pa.array(nulls.texts, pa.string()))
        values = pc.if_else(is_null, pa.scalar(None, pa.string()), column)
        found.append(seen_texts(received, name, seen, values, texts, notation))
    return found, files, list(remarks)


def seen_texts(
    at: str, name: str, seen: SeenType, values: pa.Array, texts: list[str], notation: NumberText
) -> SeenColumn:
    """Return a column of text, of which `texts` are the distinct values."""
    column = SeenColumn(at, name, seen, codes_of(values))
    if pa.types.is_integer(seen.type) or pa.types.is_floating(seen.type):
        convert = int if pa.types.is_integer(seen.type) else float
        numbers = [convert(text) for text in plain_numbers(texts, notation) or []]
        return replace(column, low=min(numbers), high=max(numbers))
    if not seen.is_text or not texts:
        return column
    is_long = sum(map(len, texts)) > LONG_TEXT * len(texts)
    return replace(column, values=few_values(texts, len(values)), is_long=is_long)


def few_values(texts: list[str], rows: int) -> tuple[str, ...]:
    """Return the values of a column that has few, each of them often, or nothing."""
    is_few = len(texts) <= MOST_VALUES and rows >= _LEAST_EACH * len(texts) and rows >= MOST_VALUES
    short = all(len(text) <= LONG_TEXT for text in texts)
    return tuple(sorted(texts)) if is_few and short and len(texts) > 1 else ()


def _distinct(column: pa.Array) -> list[str]:
    return [text for text in pc.unique(column).to_pylist() if text is not None]
