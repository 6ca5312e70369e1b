"""The declaration of the bulk files that a dataset is loaded from, and how they are written."""

import codecs
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

from notebook_pipeline.declare.arguments import Declaration
from notebook_pipeline.errors import UsageError

FileFormat = Literal["csv", "tsv", "parquet", "jsonl", "ndjson", "json"]
FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)

_LINE_ENDS = "\r\n"


@dataclass(frozen=True)
class Files(Declaration):
    """Bulk files, at the location that a connection names.

    With an empty `format`, a file's name or the server's answer determines it. For text files: `header` is
    False if the first row is data, with the declared columns in their order; `delimiter` separates fields
    (a tab by default in files named `.tsv`); `quote` encloses them ("" for none); `escape` stands before a
    quote, a delimiter or itself that is part of a value; `decimal` and `thousands` are how numbers are
    written; `nulls` are the texts that mean null; `skip_lines` come before the header; lines that begin with
    `comment` are left out. `optional` names columns that a file may lack, `folders` columns whose values come
    from the names of folders (`changed=2025-01-01/`). With `snapshot`, a load holds all rows there are, and
    stored rows that are missing from it are deleted.
    """

    conn_id: str = "repository_raw_url"
    _: KW_ONLY
    format: str = ""
    header: bool = True
    delimiter: str = ","
    encoding: str = "utf-8"
    quote: str = '"'
    escape: str = ""
    decimal: str = "."
    thousands: str = ""
    nulls: Sequence[str] = ("",)
    skip_lines: int = 0
    comment: str = ""
    optional: Sequence[str] = ()
    folders: Sequence[str] = ()
    snapshot: bool = False

    def __post_init__(self) -> None:
        for name in ("nulls", "optional", "folders"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        super().__post_init__()
        if self.format not in ("", *FORMATS):
            raise self._wrong("format", f"'' to tell it from each file, or one of {', '.join(FORMATS)}")
        self._check_characters()
        self._check_encoding()
        if self.skip_lines < 0:
            raise self._wrong("skip_lines", "0 or more lines")
        both = sorted({*self.optional} & {*self.folders})
        if both:
            raise UsageError(f"Files: optional and folders both name {both}; name each column in one of them")

    @property
    def text_delimiter(self) -> str:
        """Return the delimiter of text files whose name does not say it."""
        return "\t" if self.format == "tsv" and self.delimiter == "," else self.delimiter

    @property
    def text_escape(self) -> str:
        """Return the escape, or "" if there is none; a quote that escapes itself is just doubled."""
        return "" if self.escape == self.quote else self.escape

    def _check_characters(self) -> None:
        for name, one in (("delimiter", self.delimiter), ("quote", self.quote), ("escape", self.escape)):
            may_be_empty = name != "delimiter"
            if not (may_be_empty and one == "") and not _is_ascii_character(one):
                empty = ", or '' for none" if may_be_empty else ""
                raise self._wrong(name, f"one ASCII character that is not a line break{empty}")
        for name, one in (("decimal", self.decimal), ("thousands", self.thousands)):
            wrong = len(one) != 1 or one.isalnum() or one in f'+-"{_LINE_ENDS}'
            if wrong and not (name == "thousands" and one == ""):
                empty = ", or '' for none" if name == "thousands" else ""
                raise self._wrong(name, f"one character that is no digit, letter or sign{empty}")
        if self.comment and any(end in self.comment for end in _LINE_ENDS):
            raise self._wrong("comment", "text without a line break, or '' for none")
        self._check_distinct()

    def _check_distinct(self) -> None:
        pairs = (
            ("quote", "delimiter"),
            ("escape", "delimiter"),
            ("thousands", "decimal"),
        )
        for name, other in pairs:
            if getattr(self, name) and getattr(self, name) == getattr(self, other):
                raise self._wrong(name, f"another character than {other}")
        if self.comment and self.comment[0] in (self.delimiter, self.quote, self.escape):
            raise self._wrong(
                "comment", "text that begins with neither the delimiter, the quote nor the escape"
            )

    def _check_encoding(self) -> None:
        try:
            known = codecs.lookup(self.encoding)
            "a\n".encode(self.encoding)
        except (LookupError, ValueError):
            known = None
        if known is None or not known._is_text_encoding:  # pyright: ignore[reportAttributeAccessIssue]
            raise self._wrong("encoding", "a text encoding that Python knows, such as 'utf-8' or 'cp1252'")

    def _wrong(self, name: str, expected: str) -> UsageError:
        return UsageError(f"Files: {name} is {getattr(self, name)!r}; expected {expected}")


def _is_ascii_character(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text not in f"\0{_LINE_ENDS}"
