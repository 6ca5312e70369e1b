"""The first row of a CSV file: the names of its columns, and what to declare if they are not the expected."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.errors import DataRefused

_DELIMITERS = ";\t|,:"
_NAME = re.compile(r"[^\W\d][\w .()/%#-]{0,62}")
_MOST_SHOWN = 30


@dataclass(frozen=True)
class Header:
    """The names of a file's columns; `trailing` is true if every row ends with one more delimiter."""

    names: Sequence[str]
    trailing: bool = False


def fields_of(row: bytes, files: Files, delimiter: str) -> list[str]:
    """Return the values of one row, or raise ValueError if it cannot be split or is not UTF-8."""
    reader = csv.reader(
        [row.decode()],
        delimiter=delimiter,
        quotechar=files.quote or None,
        quoting=csv.QUOTE_MINIMAL if files.quote else csv.QUOTE_NONE,
        escapechar=files.text_escape or None,
    )
    try:
        return next(reader, [])
    except csv.Error as error:
        raise ValueError(str(error)) from None


def not_a_header(name: str, line: int, row: bytes, encoding: str) -> DataRefused:
    """Return the error for a first row that is not text in the declared encoding."""
    return DataRefused(
        f"{name}, line {line}: found {len(row):,} bytes that are not column names in {encoding.upper()}, "
        "expected the header of a CSV file; if the file is in another encoding, declare Files(encoding=…), "
        "for example 'cp1252'"
    )


def missing_columns(
    found: Sequence[str], missing: Sequence[str], expected: Iterable[str], files: Files, delimiter: str
) -> tuple[str, str]:
    """Return what a file that lacks columns has, and the setting that would fix it, or "".

    Only names that may be names are shown: the first line of another file may be a secret.
    """
    wanted = {*expected}
    if not found:
        return "found no columns", ""
    if len(found) == 1 and (other := _other_delimiter(found[0], wanted, delimiter)):
        written = "\\t" if other == "\t" else other
        seen = f"columns found: {_shown(found[0].split(other), written)}"
        return seen, f"Is the delimiter `{written}`? Declare Files(delimiter='{written}')"
    if wanted.isdisjoint(found) and not wanted.isdisjoint(name.strip("'") for name in found):
        seen = f"columns found: {_shown([name.strip(chr(39)) for name in found], ', ')}, in single quotes"
        return seen, 'Are they quoted? Declare Files(quote="\'")'
    if wanted.isdisjoint(found):
        hint = (
            "If it has no header, declare Files(header=False); if lines come before it, Files(skip_lines=…)"
        )
        return _described(found), hint
    return f"columns found: {_shown(found, ', ')}", ""


def _other_delimiter(field: str, wanted: set[str], delimiter: str) -> str:
    """Return a delimiter by which a field contains a column that is expected, or ""."""
    others = (one for one in _DELIMITERS if one != delimiter and one in field)
    return next((one for one in others if not wanted.isdisjoint(field.split(one))), "")


def _described(found: Sequence[str]) -> str:
    """Return what may be shown of a first row that has no expected column."""
    if len(found) > 1 and all(map(_NAME.fullmatch, filter(None, found))):
        return f"columns found: {_shown(found, ', ')}"
    size = sum(map(len, found))
    fields = "1 field" if len(found) == 1 else f"{len(found)} fields"
    return f"the first row has {fields} of {size:,} characters that are not the names of columns"


def _shown(names: Sequence[str], separator: str) -> str:
    shown = [name if _NAME.fullmatch(name) else f"<{len(name)} characters>" for name in names[:_MOST_SHOWN]]
    more = [f"… ({len(names) - _MOST_SHOWN} more)"] if len(names) > _MOST_SHOWN else []
    return separator.join([*shown, *more])


def once(names: Sequence[str]) -> list[str]:
    """Return the names that are not empty and occur once."""
    counts = Counter(names)
    return [name for name in names if name and counts[name] == 1]
