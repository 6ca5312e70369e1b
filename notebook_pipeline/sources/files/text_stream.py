"""The text of a file as UTF-8: decompressed, converted from its declared encoding, with its lines counted."""

import bz2
import codecs
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import pyarrow as pa

from notebook_pipeline.contract.utf8 import is_utf8
from notebook_pipeline.errors import DataRefused, PipelineError
from notebook_pipeline.sources.files.formats import whole

# Arrow reads these compressions itself, Python's modules the others.
_OF_PYTHON: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {"bz2": bz2.open, "xz": lzma.open}  # type: ignore[dict-item]


class _Bytes(Protocol):
    def read(self, nbytes: int, /) -> bytes: ...


class LimitedStream:
    """What a file unpacks to, up to a limit: more raises PipelineError."""

    def __init__(self, stream: _Bytes, name: str, max_bytes: float) -> None:
        self._stream = stream
        self._name = name
        self._left = self._max_bytes = max_bytes

    def read(self, nbytes: int) -> bytes:
        """Return up to `nbytes` bytes, and no bytes at the end."""
        chunk = self._stream.read(nbytes)
        self._left -= len(chunk)
        if self._left < 0:
            raise PipelineError(
                f"{self._name}: unpacks to more than {self._max_bytes:,.0f} bytes; check that this is the "
                "right file; if so, set a larger `max_bytes` in the connection's extra"
            )
        return chunk


class TextStream:
    """The text of one file in UTF-8; `share` is the fraction of the file that has been read.

    Bytes that are not valid in the file's encoding become bytes that are not valid UTF-8, so that the
    reader that splits the text finds in which row they are; `original` returns them.
    """

    def __init__(self, name: str, stream: _Bytes, encoding: str, tell: Callable[[], int], size: int) -> None:
        self._name = name
        self._stream = stream
        self._encoding = encoding
        self._is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        self._tell = tell
        self._size = size
        self._lines = 0
        self._at_start = True

    @property
    def share(self) -> float:
        """Return the fraction of the file, 0 to 1, that has been read."""
        return self._tell() / self._size

    def read(self, nbytes: int) -> bytes:
        """Return about `nbytes` bytes of text, and no bytes at the end."""
        text = self._next(nbytes)
        while self._at_start and 0 < len(text) < len(codecs.BOM_UTF8) and (more := self._next(nbytes)):
            text += more
        if self._at_start:
            text = text.removeprefix(codecs.BOM_UTF8) or (self._next(nbytes) if text else b"")
            self._at_start = False
        return text

    def original(self, row: bytes) -> bytes:
        """Return the bytes from which a row was read, if it is not valid UTF-8."""
        if self._is_utf8:
            return row
        return row.decode("utf-8", "surrogatepass").encode(self._encoding, "surrogateescape")

    def _next(self, nbytes: int) -> bytes:
        while chunk := self._stream.read(nbytes):
            if text := chunk if self._is_utf8 else self._decoded(chunk):
                return text
        return b"" if self._is_utf8 else self._decoded(b"", final=True)

    def _decoded(self, chunk: bytes, *, final: bool = False) -> bytes:
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(self._encoding, "ignore")
            line = self._lines + before.count("\n") + 1
            raise DataRefused(
                f"{self._name}, line {line}: found bytes that are not valid in {self._encoding}, expected "
                "text in this encoding; declare the right one in Files(encoding=…), or write the file again"
            ) from None
        self._lines += text.count("\n")
        return text.encode("utf-8", "surrogatepass")


@contextmanager
def open_text(
    path: Path, name: str, compression: str | None, encoding: str, max_bytes: float
) -> Iterator[TextStream]:
    """Open the text of a file; `name` is used in messages.

    Raises PipelineError if the file is damaged, or unpacks to more than `max_bytes`.
    """
    size = max(path.stat().st_size, 1)
    with whole(name, compression or "text"), path.open("rb") as file:
        stream = LimitedStream(unpacked(file, compression), name, max_bytes) if compression else file
        yield TextStream(name, stream, encoding, file.tell, size)


def unpacked(file: IO[bytes], compression: str) -> _Bytes:
    """Return the stream of a file's decompressed bytes."""
    if compression in _OF_PYTHON:
        return _OF_PYTHON[compression](file)
    return pa.CompressedInputStream(pa.PythonFile(file, "r"), compression)


def is_valid(text: bytes) -> bool:
    """Return True if text is valid UTF-8."""
    return is_utf8(pa.py_buffer(text))
