"""Where the rows of a CSV file end, as Arrow's reader sees it: quotes and escapes as declared.

A quote opens a value only at its start, and closes it only before a delimiter or the end of the row; within a
value that is not quoted, it is a character like others. Most texts are split by the parity of their quotes,
all at once; those with an escape, a comment, or a quote elsewhere are split row by row.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from notebook_pipeline.declare.file_declaration import Files

_LF, _CR = 10, 13


@dataclass(frozen=True)
class Rows:
    """The rows of a text: the offsets behind their line ends, and behind every line.

    `comments` are the indexes of lines that are comments, `stray` those of rows with text behind a closing
    quote. Text behind the last end belongs to a row that is not complete.
    """

    ends: np.ndarray
    line_ends: np.ndarray
    comments: set[int] = field(default_factory=set)
    stray: set[int] = field(default_factory=set)

    @property
    def end(self) -> int:
        """Return the offset behind the last complete row."""
        return int(self.ends[-1]) if len(self.ends) else 0

    @cached_property
    def starts(self) -> np.ndarray:
        """Return the offsets of the rows."""
        return np.concatenate(([0], self.ends[:-1])) if len(self.ends) else self.ends

    def line(self, offset: int) -> int:
        """Return the number of lines before an offset."""
        return int(np.searchsorted(self.line_ends, offset, side="right"))


class RowSplitter:
    """Splits text into rows by the quote, delimiter, escape and comment of a declaration."""

    def __init__(self, files: Files, delimiter: str) -> None:
        self._delimiter = ord(delimiter)
        self._quote = files.quote.encode()
        self._escape = files.text_escape.encode()
        self._comment = files.comment.encode()
        self._strict, self._loose = (
            _row(delimiter.encode(), self._quote, self._escape, strict=strict) for strict in (True, False)
        )
        self._starts_comment = re.compile(rb"(?:\A|[\r\n])" + re.escape(self._comment))
        self._comment_line = re.compile(re.escape(self._comment) + rb"[^\r\n]*+(?:\r\n|\r|\n|\Z)")

    def split(self, text: bytes, *, is_last: bool) -> Rows:
        """Return the rows of a text that begins with a row; the last row of a file needs no line end."""
        data = np.frombuffer(text, np.uint8)
        line_ends = _line_ends(text, data, is_last=is_last)
        if (self._escape and self._escape in text) or (self._comment and self._starts_comment.search(text)):
            return self._one_by_one(text, line_ends, is_last=is_last)
        if not self._quote or self._quote not in text:
            return _completed(line_ends, line_ends, text, is_last=is_last)
        quotes = np.flatnonzero(data == self._quote[0])
        if not self._are_at_edges(data, quotes):
            return self._one_by_one(text, line_ends, is_last=is_last)
        outside = np.searchsorted(quotes, line_ends) % 2 == 0
        is_whole = is_last and len(quotes) % 2 == 0
        return _completed(line_ends[outside], line_ends, text, is_last=is_whole)

    def seems_escaped(self, row: bytes) -> bool:
        """Return True if a row has a quote behind a backslash, and no escape is declared."""
        return bool(self._quote) and not self._escape and b"\\" + self._quote in row

    def _are_at_edges(self, data: np.ndarray, quotes: np.ndarray) -> bool:
        """Return True if every quote is at the start or the end of a value, or doubled within one."""
        edges = np.zeros(256, bool)
        edges[[self._delimiter, _LF, _CR, self._quote[0]]] = True
        opening, closing = quotes[::2], quotes[1::2]
        before = opening[1:] if len(opening) and opening[0] == 0 else opening
        behind = closing[:-1] if len(closing) and closing[-1] == len(data) - 1 else closing
        return bool(edges[data[before - 1]].all() and edges[data[behind + 1]].all())

    def _one_by_one(self, text: bytes, line_ends: np.ndarray, *, is_last: bool) -> Rows:
        ends: list[int] = []
        comments, stray = set[int](), set[int]()
        start = 0
        while start < len(text):
            end = self._row_end(text, start, ends, comments, stray)
            if end is None or (end == len(text) and not is_last and not _is_ended(text, line_ends)):
                break
            ends.append(end)
            start = end
        kept = len(ends)
        return Rows(
            np.array(ends, np.int64),
            line_ends,
            {index for index in comments if index < kept},
            {index for index in stray if index < kept},
        )

    def _row_end(
        self, text: bytes, start: int, ends: list[int], comments: set[int], stray: set[int]
    ) -> int | None:
        """Return where the row or comment at an offset ends, None if it is not complete; note its kind."""
        if self._comment and (found := self._comment_line.match(text, start)):
            comments.add(len(ends))
            return found.end()
        if found := self._strict.match(text, start):
            return found.end()
        if found := self._loose.match(text, start):
            stray.add(len(ends))
            return found.end()
        return None


def _row(delimiter: bytes, quote: bytes, escape: bytes, *, strict: bool) -> re.Pattern[bytes]:
    """Return a pattern for one row; a `strict` one has nothing between a closing quote and a delimiter.

    Each byte can be matched in one way only, so that nothing is tried twice. Groups are not possessive,
    because Python before 3.11.5 matches such groups wrongly.
    """
    d, q, e = (re.escape(one) for one in (delimiter, quote, escape))
    any_escaped = rb"|" + e + rb"(?:.|\Z)" if escape else b""
    plain = rb"(?:[^\r\n" + d + e + rb"]" + any_escaped + rb")*" if escape else rb"[^\r\n" + d + rb"]*+"
    if quote:
        inner = rb"[^" + q + e + rb"]*+(?:(?:" + q + q + any_escaped + rb")[^" + q + e + rb"]*+)*"
        behind = rb"(?=[\r\n" + d + rb"]|\Z)" if strict else plain
        closing = q + rb"(?!" + q + rb")"  # not the first of a doubled quote
        value = rb"(?:" + q + inner + closing + behind + rb"|(?!" + q + rb")" + plain + rb")"
    else:
        value = plain
    return re.compile(rb"(?:" + value + d + rb")*" + value + rb"(?:\r\n|\r|\n|\Z)", re.DOTALL)


def _line_ends(text: bytes, data: np.ndarray, *, is_last: bool) -> np.ndarray:
    """Return the offsets behind all line ends: \\n, \\r\\n or \\r; a \\r at the end may be half of one."""
    ends = data == _LF
    if b"\r" in text:
        alone = data == _CR
        alone[:-1] &= data[1:] != _LF
        if not is_last:
            alone[-1] = False
        ends |= alone
    return np.flatnonzero(ends) + 1


def _completed(ends: np.ndarray, line_ends: np.ndarray, text: bytes, *, is_last: bool) -> Rows:
    """Return rows, the last one without a line end if the file ends there."""
    if is_last and text and (not len(ends) or ends[-1] < len(text)):
        ends = np.append(ends, len(text))
    return Rows(ends, line_ends)


def _is_ended(text: bytes, line_ends: np.ndarray) -> bool:
    return len(line_ends) > 0 and line_ends[-1] == len(text)
