"""The columns of rows that have types of their own: JSON values, and the columns of Parquet files."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract import scalars
from notebook_pipeline.contract.arrow_functions import pc
from notebook_pipeline.contract.scalars import UnfitError
from notebook_pipeline.declare.column_types import MOST_DIGITS, objection
from notebook_pipeline.declare.paths import Path
from notebook_pipeline.discovery.seen_table import SeenColumn, codes_of
from notebook_pipeline.discovery.text_columns_seen import LONG_TEXT, few_values
from notebook_pipeline.discovery.text_types import MOMENT, NO_OFFSET, NO_VALUE, SeenType, type_of_days

NESTED = "holds nested values, kept as JSON"


def json_column(at: Path, name: str, values: Sequence[object]) -> SeenColumn:
    """Return a column of JSON values, in which None stands for null and for what is missing."""
    spelt = [None if value is None else value if isinstance(value, str) else repr(value) for value in values]
    clean = [None if text is None else text.encode("utf-8", "replace").decode() for text in spelt]
    codes = codes_of(pa.array(clean, pa.string()))
    given = [value for value in values if value is not None]
    seen = _type_of_values(given)
    if seen.is_text and all(isinstance(value, str) for value in given):
        return _of_texts(at, name, seen, codes, [*dict.fromkeys(filter(None, clean))])
    numbers = [value for value in given if isinstance(value, int | float | Decimal)]
    if not numbers or not _is_number_type(seen.type):
        return SeenColumn(at, name, seen, codes)
    return SeenColumn(at, name, seen, codes, low=_plain(min(numbers)), high=_plain(max(numbers)))


def arrow_column(name: str, at: str, column: pa.Array) -> SeenColumn | str:
    """Return a column of a Parquet file, or why it cannot be stored."""
    if isinstance(column.type, pa.BaseExtensionType) and not isinstance(column.type, pa.JsonType):
        column = column.storage
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    seen = _type_of_arrow(kind, column)
    if refused := objection(seen.type):
        return refused
    if seen.is_text and not pa.types.is_decimal(kind):
        texts = [text for text in pc.unique(column.cast(pa.string())).to_pylist() if text]
        seen = type_of_days(texts) if texts else SeenType(pa.string(), remarks=(NO_VALUE,))
        codes = codes_of(column.cast(pa.string()))
        return _of_texts(at, name, seen, codes, texts) if seen.is_text else SeenColumn(at, name, seen, codes)
    codes = _codes(column)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return SeenColumn(at, name, seen, codes)
    ends = pc.min_max(column).as_py()
    return SeenColumn(at, name, seen, codes, low=ends["min"], high=ends["max"])


def _of_texts(at: Path, name: str, seen: SeenType, codes: np.ndarray, texts: list[str]) -> SeenColumn:
    is_long = sum(map(len, texts)) > LONG_TEXT * len(texts)
    return SeenColumn(at, name, seen, codes, few_values(texts, len(codes)), is_long=is_long)


def _type_of_values(values: Sequence[object]) -> SeenType:
    kinds = set(map(type, values))
    if not kinds:
        return SeenType(pa.string(), remarks=(NO_VALUE,))
    if kinds <= {dict, list}:
        return SeenType(pa.json_(), remarks=(NESTED,))
    if kinds == {bool}:
        return SeenType(pa.bool_())
    if kinds == {str}:
        texts = [*dict.fromkeys(text for text in values if isinstance(text, str) and text)]
        is_empty = any(text == "" for text in values)
        found = type_of_days(texts) if texts else SeenType(pa.string())
        return SeenType(pa.string()) if is_empty else found
    if kinds <= {int, float, Decimal}:
        return _type_of_numbers(values)
    if kinds <= {int, float, Decimal, str}:
        return SeenType(pa.string(), remarks=("holds numbers and texts, so numbers become text",))
    return SeenType(pa.json_(), remarks=("holds values of several kinds, kept as JSON",))


def _type_of_numbers(values: Sequence[object]) -> SeenType:
    for kind, convert in ((pa.int64(), scalars.whole_number), (pa.float64(), scalars.number)):
        if kind == pa.int64() and not all(isinstance(value, int) for value in values):
            continue
        try:
            for value in values:
                convert(value, kind)
        except UnfitError:
            continue
        return SeenType(kind)
    return SeenType(pa.string(), remarks=("has more digits than a number keeps, so it is text",))


def _type_of_arrow(kind: pa.DataType, column: pa.Array) -> SeenType:
    if pa.types.is_null(kind):
        return SeenType(pa.string(), remarks=(NO_VALUE,))
    if any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        return SeenType(pa.string())
    if pa.types.is_date(kind):
        return SeenType(pa.date32())
    if pa.types.is_timestamp(kind):
        return SeenType(MOMENT, remarks=() if kind.tz else (NO_OFFSET,))
    if pa.types.is_time(kind):
        return SeenType(pa.time64("us"))
    if pa.types.is_decimal(kind):
        return _type_of_decimals(kind, column)
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return SeenType(pa.binary())
    if pa.types.is_nested(kind):
        return SeenType(pa.json_(), remarks=(NESTED,))
    if pa.types.is_floating(kind) and pc.any(pc.is_nan(column)).as_py():
        return SeenType(kind, remarks=("has NaN, which is rejected; write null instead",))
    return SeenType(kind)


def _type_of_decimals(kind: pa.DataType, column: pa.Array) -> SeenType:
    """Return a decimal of at most the digits that can be stored, if the values seen fit, else text."""
    precision, scale = kind.precision, max(kind.scale, 0)
    if precision <= MOST_DIGITS and 0 <= kind.scale <= precision:
        return SeenType(pa.decimal128(precision, scale))
    try:
        column.cast(pa.decimal128(MOST_DIGITS, scale))
    except (pa.ArrowInvalid, ValueError):
        said = f"is {kind}, of which {MOST_DIGITS} digits fit, so it is text"
        return SeenType(pa.string(), remarks=(said,))
    remark = f"is {kind} in the file; the values seen have at most {MOST_DIGITS} digits"
    return SeenType(pa.decimal128(MOST_DIGITS, scale), remarks=(remark,))


def _codes(column: pa.Array) -> np.ndarray:
    try:
        return codes_of(column)
    except pa.ArrowException:
        return codes_of(pa.array([None if one is None else repr(one) for one in column.to_pylist()]))


def _is_number_type(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _plain(number: float | Decimal) -> float:
    return float(number) if isinstance(number, Decimal) else number
