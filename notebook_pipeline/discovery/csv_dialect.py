"""How a CSV file is written: delimiter, quote, escape, lines before the header, and if there is one.

Each possible dialect is tried on the first rows by the reader's own rules; the one that is right splits
nearly all rows into the same number of fields.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.discovery.text_types import type_of_texts
from notebook_pipeline.sources.files.csv_header import fields_of
from notebook_pipeline.sources.files.number_text import NumberText
from notebook_pipeline.sources.files.row_splitter import RowSplitter

_DELIMITERS = "\t;|,"
_ROWS = 1_000
_MOST_SKIPPED = 50
_SEPARATOR = "sep="  # how a spreadsheet is told the delimiter, on a line of its own
_LEAST = 0.6  # the least share of rows with the same number of fields
_AS_GOOD = 0.02  # the difference in that share which says nothing
_PLAIN, _COMMA = NumberText(".", ""), NumberText(",", ".")
_YEARS = range(1900, 2101)


@dataclass(frozen=True)
class Dialect:
    """How a file is written, the number of its columns, and what a person must decide about it."""

    files: Files
    width: int
    remarks: tuple[str, ...] = ()


def dialect_of(text: str, encoding: str, *, is_whole: bool) -> Dialect:
    """Return the dialect of the first text of a CSV file."""
    tried = [_Try(text.encode("utf-8", "replace"), files, is_whole) for files in _possible(text)]
    split = [one for one in tried if one.width > 1 and one.share >= _LEAST]
    best = _best(split) if split else tried[0]
    files = replace(best.files, encoding=encoding, skip_lines=best.skip_lines)
    has_header, remarks = _header(best.table)
    return Dialect(replace(files, header=has_header), best.width, remarks)


def _possible(text: str) -> list[Files]:
    escapes = ["", "\\"] if '\\"' in text else [""]
    quoted = [(quote, escape) for quote in ('"', "'") for escape in escapes if quote == '"' or not escape]
    return [
        Files(delimiter=delimiter, quote=quote, escape=escape)
        for delimiter in reversed(_DELIMITERS)
        for quote, escape in (*quoted, ("", ""))
    ]


class _Try:
    """A dialect tried on a text: the rows into which it splits it."""

    def __init__(self, text: bytes, files: Files, is_whole: bool) -> None:
        self.files = files
        self._text = text
        self._rows = RowSplitter(files, files.delimiter).split(text, is_last=is_whole)

    @cached_property
    def _split(self) -> list[tuple[int, list[str]]]:
        """Return the first rows that are not empty, each with its index among all."""
        found: list[tuple[int, list[str]]] = []
        for index, (start, end) in enumerate(zip(self._rows.starts, self._rows.ends, strict=True)):
            row = self._text[start:end].rstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf")
            if row.strip():
                found.append((index, self._fields(row)))
            if len(found) == _ROWS:
                break
        return found

    def _fields(self, row: bytes) -> list[str]:
        try:
            return fields_of(row, self.files, self.files.delimiter)
        except ValueError:
            return []

    @cached_property
    def width(self) -> int:
        """Return the number of fields of most rows; a trailing delimiter adds none."""
        counts = Counter(len(fields) for _, fields in self._split)
        most = max(counts, key=lambda width: (counts[width], width), default=0)
        full = [fields for _, fields in self._split if len(fields) == most]
        is_trailing = most > 2 and len(full) > 1 and not any(fields[-1] for fields in full[1:])
        return most - 1 if is_trailing and (not full[0][-1] or counts[most - 1]) else most

    @cached_property
    def _first(self) -> int:
        """Return which row is the first of this width; rows of a title before it have empty fields."""
        for place, (_, fields) in enumerate(self._split):
            below = self._split[place + 1][1] if place + 1 < len(self._split) else []
            is_title = self.width > 2 and _is_sparse(fields) and not _is_sparse(below)
            if self._fits(fields) and not is_title and not fields[0].startswith(_SEPARATOR):
                return place
        return 0

    def _fits(self, fields: Sequence[str]) -> bool:
        return len(fields) == self.width or (len(fields) == self.width + 1 and not fields[-1])

    @property
    def skip_lines(self) -> int:
        """Return the number of lines before the first row of this width."""
        if not self._first or self._first > _MOST_SKIPPED:
            return 0
        return self._rows.line(int(self._rows.starts[self._split[self._first][0]]))

    @cached_property
    def share(self) -> float:
        """Return the share of rows of this width with nothing behind a quote."""
        rows = self._split
        good = [index for index, fields in rows if self._fits(fields) and index not in self._rows.stray]
        # A quote that is opened and never closed hides the rows behind it.
        seen = self._rows.end / max(len(self._text), 1) if len(self._split) < _ROWS else 1.0
        return len(good) / len(rows) * (seen if seen < 0.5 else 1.0) if rows else 0.0

    @property
    def table(self) -> list[list[str]]:
        """Return the rows of this width, without the field behind a trailing delimiter."""
        return [fields[: self.width] for _, fields in self._split[self._first :] if self._fits(fields)]

    @property
    def is_quoted(self) -> bool:
        """Return True if most fields that are not numbers stand between two single quotes."""
        if self.files.quote != "'":
            return False
        plain = Files(delimiter=self.files.delimiter, quote="")
        rows = [self._text[start:end] for start, end in zip(self._rows.starts, self._rows.ends, strict=True)]
        fields = [one.strip() for row in rows[1:50] for one in _unquoted(row, plain)]
        enclosed = [one for one in fields if len(one) > 1 and one[0] == one[-1] == "'"]
        words = [one for one in fields if one and type_of_texts([one], _PLAIN).is_text]
        return bool(words) and len(enclosed) >= len(words) * 0.6


def _is_sparse(fields: Sequence[str]) -> bool:
    """Return True if more than half of the fields are empty."""
    return fields.count("") * 2 > len(fields)


def _unquoted(row: bytes, files: Files) -> list[str]:
    try:
        return fields_of(row.rstrip(b"\r\n"), files, files.delimiter)
    except ValueError:
        return []


def _best(tried: Sequence[_Try]) -> _Try:
    """Return the dialect that splits most rows alike; the usual one if in doubt."""
    most = max(one.share for one in tried)
    tried = [one for one in tried if one.share >= most - _AS_GOOD]
    # A comma is often part of a value, the others seldom are.
    return min(tried, key=lambda one: (_DELIMITERS.index(one.files.delimiter), *_usual(one)))


def _usual(one: _Try) -> tuple[int, int]:
    quotes = {'"': 1, "'": 0 if one.is_quoted else 3, "": 2}
    return quotes[one.files.quote], -one.width


def _header(table: Sequence[Sequence[str]]) -> tuple[bool, tuple[str, ...]]:
    """Return if the first row has the names of columns, and what to decide about that."""
    if len(table) < 2:
        return True, ()
    first, below = table[0], [[*column] for column in zip(*table[1:], strict=True)]
    typed = [place for place, texts in enumerate(below) if _is_typed(texts)]
    if typed:
        fitting = [place for place in typed if first[place] and _is_typed([first[place]])]
        if len(fitting) < len(typed) or _are_years([first[place] for place in fitting]):
            return True, ()
        return False, ("the first row looks like data; is there no header? Then name the columns",)
    repeats = any(name in texts for name, texts in zip(first, below, strict=True))
    if repeats or len(set(first)) < len(first):
        return False, ("the first row looks like data; is there no header? Then name the columns",)
    return True, ("every column is text; does the first row hold the names of columns?",)


def _is_typed(texts: Sequence[str]) -> bool:
    """Return True if the texts that are not empty are something else than text."""
    given = [*dict.fromkeys(text for text in texts if text)][:200]
    return bool(given) and any(not type_of_texts(given, one).is_text for one in (_PLAIN, _COMMA))


def _are_years(names: Sequence[str]) -> bool:
    """Return True if two or more names are different years, as in a table with a column for each."""
    years = [name for name in names if name.isdecimal() and int(name) in _YEARS]
    return len(names) > 1 and len({*years}) == len(names)
