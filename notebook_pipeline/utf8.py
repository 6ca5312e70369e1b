"""Let a reader that insists on UTF-8 pass over bytes that are not, without losing them."""

import codecs
import re
from typing import Protocol

import numpy as np
import pyarrow as pa

# A stray byte (always 0x80 or above) travels as a character of the last private-use plane.
_FIRST_MARK = 0x10FF00
_MARKS = re.compile(f"[{chr(_FIRST_MARK + 0x80)}-{chr(_FIRST_MARK + 0xFF)}]")
_TO_SURROGATE = {_FIRST_MARK + byte: 0xDC00 + byte for byte in range(0x80, 0x100)}
MARK_PREFIX = chr(_FIRST_MARK + 0x80).encode()[:2]  # how every mark begins in UTF-8


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    stray = error.object[error.start : error.end]
    return "".join(chr(_FIRST_MARK + byte) for byte in stray), error.end


codecs.register_error("mark-stray-bytes", _mark)


class Readable(Protocol):
    """Read bytes as a file does."""

    def read(self, nbytes: int, /) -> bytes:
        """Return up to `nbytes` bytes, nothing at the end."""
        ...


class Utf8Stream:
    """Read a byte stream as valid UTF-8: stray bytes come marked, and `marked` tells that there were any."""

    closed = False

    def __init__(self, stream: Readable) -> None:
        self.marked = False
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("mark-stray-bytes")

    def read(self, nbytes: int) -> bytes:
        """Return up to about `nbytes` bytes of valid UTF-8; nothing at the end."""
        while True:
            chunk = self._stream.read(nbytes)
            if not self._decoder.getstate()[0] and _is_utf8(chunk):
                return chunk
            text = self._decoder.decode(chunk, final=not chunk)
            self.marked = self.marked or _MARKS.search(text) is not None
            if text or not chunk:
                return text.encode()

    def close(self) -> None:
        """Do nothing; whoever opened the stream below closes it."""


def original(text: str) -> bytes:
    """Return the bytes that a marked text was read from."""
    return text.translate(_TO_SURROGATE).encode("utf-8", "surrogateescape")


def _is_utf8(chunk: bytes) -> bool:
    bounds = pa.py_buffer(np.array([0, len(chunk)], np.int32))
    try:
        pa.Array.from_buffers(pa.binary(), 1, [None, bounds, pa.py_buffer(chunk)]).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True
