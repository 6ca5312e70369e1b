"""Numbers in text as other countries write them, turned into plain digits."""

import re
from functools import cached_property

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import mask, pc


class NumberText:
    """The notation of numbers: the decimal sign, and what separates thousands ("" for nothing)."""

    def __init__(self, decimal: str, thousands: str) -> None:
        self.decimal = decimal
        self.thousands = thousands

    @property
    def is_plain(self) -> bool:
        """Return True if numbers are plain digits as they are."""
        return self.decimal == "." and not self.thousands

    def __str__(self) -> str:
        """Return the notation in words, for messages."""
        grouped = f" and thousands {self.thousands!r}" if self.thousands else ""
        return f"with decimal {self.decimal!r}{grouped}"

    @cached_property
    def _pattern(self) -> str:
        grouped = rf"|[0-9]{{1,3}}(?:{re.escape(self.thousands)}[0-9]{{3}})+" if self.thousands else ""
        fraction = rf"(?:{re.escape(self.decimal)}[0-9]+)?"
        return rf"\A[ ]*[+-]?(?:[0-9]+{grouped}){fraction}(?:[eE][+-]?[0-9]+)?[ ]*\z"

    def plain(self, column: pa.Array) -> tuple[pa.Array, np.ndarray]:
        """Return a column of text in plain digits, and a mask of the cells that are not in this notation."""
        wrong = mask(pc.invert(pc.match_substring_regex(column, self._pattern)))
        digits = pc.replace_substring(column, self.thousands, "") if self.thousands else column
        return pc.utf8_trim(pc.replace_substring(digits, self.decimal, "."), " "), wrong
