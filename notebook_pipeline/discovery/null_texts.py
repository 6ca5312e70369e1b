"""The texts that mean null in a file: those that stand among values of another type."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from notebook_pipeline.discovery.text_types import type_of_texts
from notebook_pipeline.sources.files.number_text import NumberText

MARKERS = frozenset(
    {
        *("NA", "N/A", "n/a", "na", "#N/A", "N.A.", "n.a.", "NULL", "Null", "null", "(null)", "\\N", "NaN"),
        *("nan", "<NA>", "None", "none", "nil", "-", "--", "?", ".", "k.A.", "k. A.", "missing", "unknown"),
    }
)
_LIKELY = ("NULL", "null", "\\N", "N/A", "n/a", "#N/A", "<NA>", "NaN")


class SeenNulls(NamedTuple):
    """The texts that mean null, and what a person must decide about each column."""

    texts: tuple[str, ...]
    remarks: Mapping[str, str]


def nulls_of(columns: Mapping[str, Sequence[str]], notation: NumberText) -> SeenNulls:
    """Return the texts that mean null, from the distinct values of each column."""
    found: dict[str, None] = {"": None}
    texts: dict[str, list[str]] = {}
    for name, values in columns.items():
        markers = [value for value in values if value in MARKERS]
        if not markers:
            continue
        others = [value for value in values if value not in MARKERS and value]
        if others and not type_of_texts(others, notation).is_text:
            found |= dict.fromkeys(sorted(markers))
        else:
            texts[name] = markers
    remarks = {}
    for name, markers in texts.items():
        if read := [marker for marker in markers if marker in found]:
            remarks[name] = f"{read[0]!r} means null in other columns, and so it is read as null here, too"
        elif likely := [marker for marker in markers if marker in _LIKELY]:
            remarks[name] = f"does {likely[0]!r} mean null? Then add it to nulls of Files"
    return SeenNulls(tuple(found), remarks)
