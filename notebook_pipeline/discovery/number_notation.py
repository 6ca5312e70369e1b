"""The notation of the numbers in a file: the decimal sign, and what separates thousands."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from notebook_pipeline.discovery.text_types import type_of_numbers
from notebook_pipeline.sources.files.number_text import NumberText

_PLAIN = NumberText(".", "")
_NOTATIONS = (
    _PLAIN,
    NumberText(",", ""),
    *(NumberText(*signs) for signs in ((",", "."), (".", ","), (",", " "), (".", " "), (".", "'"))),
    *(NumberText(*signs) for signs in ((",", "\u00a0"), (".", "\u00a0"), (",", "\u202f"), (".", "’"))),
)
_GROUPED = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})+")


class SeenNotation(NamedTuple):
    """A notation, and what a person must decide about it."""

    notation: NumberText
    remarks: tuple[str, ...] = ()


def notation_of(columns: Sequence[Sequence[str]]) -> SeenNotation:
    """Return the simplest notation in which most columns are numbers, from the distinct values of each."""
    columns = [texts for texts in columns if texts]
    counts = [sum(type_of_numbers(texts, one) is not None for texts in columns) for one in _NOTATIONS]
    best = counts.index(max(counts, default=0)) if columns else 0
    chosen = _NOTATIONS[best]
    if chosen.is_plain or chosen.decimal != "," or chosen.thousands:
        return SeenNotation(chosen)
    numbers = [texts for texts in columns if type_of_numbers(texts, chosen) and any("," in t for t in texts)]
    if not numbers:
        return SeenNotation(_PLAIN)
    if all(_GROUPED.fullmatch(text) or "," not in text for texts in numbers for text in texts):
        remark = (
            f"is the comma in {next(t for texts in numbers for t in texts if ',' in t)!r} a decimal sign or "
            'does it separate thousands? Then add decimal="," or thousands=",", and declare those columns as '
            "numbers"
        )
        return SeenNotation(_PLAIN, (remark,))
    return SeenNotation(chosen)
