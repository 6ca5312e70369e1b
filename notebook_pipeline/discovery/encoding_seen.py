"""The encoding of a text file, from its bytes: UTF-8 and UTF-16 prove themselves, others are guesses."""

import codecs
from typing import NamedTuple

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class SeenEncoding(NamedTuple):
    """An encoding as Python names it, and what a person must decide about it."""

    name: str
    remarks: tuple[str, ...] = ()


def encoding_of(text: bytes) -> SeenEncoding:
    """Return the encoding of the first bytes of a file, of which a last character may be truncated."""
    if text.startswith(_UTF16):
        return SeenEncoding("utf-16")
    if _is_utf8(text):
        return SeenEncoding("utf-8") if b"\0" not in text else _without_mark(text)
    if _is_mostly_utf8(text):
        remark = "some bytes are not valid UTF-8, and their rows will be rejected; write the file again?"
        return SeenEncoding("utf-8", (remark,))
    for name in ("cp1252", "latin-1"):
        try:
            shown = text.decode(name)
        except UnicodeDecodeError:
            continue
        return SeenEncoding(name, (f"the text is not UTF-8; is {_example(shown)} right in {name}?",))
    raise AssertionError("latin-1 decodes everything")


def _without_mark(text: bytes) -> SeenEncoding:
    """Return UTF-16 for text in which every other byte is mostly null, else UTF-8."""
    half = max(len(text) // 2, 1)
    if text[1::2].count(0) > half / 2:
        return SeenEncoding("utf-16-le")
    return SeenEncoding("utf-16-be" if text[::2].count(0) > half / 2 else "utf-8")


def _is_utf8(text: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text)
    except UnicodeDecodeError:
        return False
    return True


def _is_mostly_utf8(text: bytes) -> bool:
    """Return True if more characters beyond ASCII are valid UTF-8 than are not."""
    read = text.decode("utf-8", "surrogateescape")
    wrong = sum("\udc80" <= character <= "\udcff" for character in read)
    return sum(not character.isascii() for character in read) > 2 * wrong


def _example(text: str) -> str:
    """Return the first word that is not ASCII, in quotes."""
    words = text.replace('"', " ").replace(";", " ").replace(",", " ").split()
    return repr(next((word for word in words if not word.isascii()), "it")[:30])
