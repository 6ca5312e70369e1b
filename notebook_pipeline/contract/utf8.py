"""A stream that passes invalid UTF-8 through a reader that accepts only valid UTF-8, without losing bytes."""

import codecs
import re
import threading

import numpy as np
import pyarrow as pa

from notebook_pipeline.contract.arrow_functions import pc, text_bytes

# An invalid byte (always 0x80 or above) is represented by a character of the last private-use plane.
_FIRST_MARK = 0x10FF00
_MARKS = re.compile(f"[{chr(_FIRST_MARK + 0x80)}-{chr(_FIRST_MARK + 0xFF)}]")
_TO_SURROGATE = {_FIRST_MARK + byte: 0xDC00 + byte for byte in range(0x80, 0x100)}
_PIECE = 16 << 10


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    stray = error.object[error.start : error.end]
    return "".join(chr(_FIRST_MARK + byte) for byte in stray), error.end


codecs.register_error("mark-stray-bytes", _mark)


class Utf8Stream:
    """A byte stream as valid UTF-8: marks replace invalid bytes; `marked` is true if there were any."""

    closed = False

    def __init__(self, stream: pa.NativeFile) -> None:
        self.marked = False
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("mark-stray-bytes")
        self._surplus: pa.Buffer | bytes = b""
        self._reading = threading.Lock()
        self._stopped = False

    def read(self, nbytes: int) -> pa.Buffer | bytes:
        """Return up to `nbytes` bytes of valid UTF-8 (a character may be split), and no bytes at the end."""
        with self._reading:
            return b"" if self._stopped else self._read(nbytes)

    def stop(self) -> None:
        """Wait for a read in another thread to finish, and make every later read return no bytes."""
        with self._reading:
            self._stopped = True

    def close(self) -> None:
        """Do nothing; the underlying stream is closed by whoever opened it."""

    def _read(self, nbytes: int) -> pa.Buffer | bytes:
        # Return all bytes asked for: Arrow treats a short read as a whole block, and a row may span only two.
        valid = self._surplus
        if len(valid) < nbytes:
            more = self._next(nbytes)
            valid = b"".join((valid, more)) if len(valid) else more
        self._surplus = valid[nbytes:]
        return valid[:nbytes]

    def _next(self, nbytes: int) -> pa.Buffer | bytes:
        while True:
            # Use Arrow's own buffers, because Python's copies would fragment the heap.
            chunk = self._stream.read_buffer(nbytes)
            valid = self._repaired(chunk) if len(chunk) else self._decoded(b"", final=True)
            if len(valid) or not len(chunk):
                return valid

    def _repaired(self, chunk: pa.Buffer) -> pa.Buffer | bytes:
        if self._is_whole(chunk):
            return chunk
        # Decode only invalid pieces, because decoding and encoding again is slow.
        pieces = (chunk[start : start + _PIECE] for start in range(0, len(chunk), _PIECE))
        return b"".join(piece if self._is_whole(piece) else self._decoded(piece) for piece in pieces)

    def _decoded(self, piece: pa.Buffer | bytes, *, final: bool = False) -> bytes:
        text = self._decoder.decode(memoryview(piece), final)
        self.marked = self.marked or _MARKS.search(text) is not None
        return text.encode()

    def _is_whole(self, data: pa.Buffer) -> bool:
        """Return True if data is valid by itself: no character begins before it or continues after it."""
        return not self._decoder.getstate()[0] and is_utf8(data)


def is_utf8(chunk: pa.Buffer) -> bool:
    """Return True if bytes are valid UTF-8."""
    bounds = pa.py_buffer(np.array([0, len(chunk)], np.int32))
    try:
        pa.Array.from_buffers(pa.binary(), 1, [None, bounds, chunk]).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def original(text: str) -> bytes:
    """Return the bytes from which a text with marks was read."""
    return text.translate(_TO_SURROGATE).encode("utf-8", "surrogateescape")


def original_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch of text in which columns with marks are binary, as they were read."""
    return pa.RecordBatch.from_arrays(
        [_original_column(column) for column in batch.columns], batch.schema.names
    )


def _original_column(column: pa.Array) -> pa.Array:
    """Replace each mark (four bytes) by its original byte, in all cells at once."""
    data = text_bytes(column)
    begin = np.flatnonzero(data == 0xF4)
    begin = begin[(data[begin + 1] == 0x8F) & (data[begin + 2] >= 0xBE)]
    if not len(begin):
        return column
    restored = data.copy()
    restored[begin] = data[begin + 3] + (data[begin + 2] == 0xBF) * np.uint8(0x40)
    kept = np.ones(len(data), bool)
    kept[(begin[:, None] + (1, 2, 3)).ravel()] = False
    ends = np.cumsum(pc.binary_length(column).fill_null(0).to_numpy(), dtype=np.int32)
    offsets = np.concatenate(([0], ends - 3 * np.searchsorted(begin, ends))).astype(np.int32)
    binary = pa.Array.from_buffers(
        pa.binary(), len(column), [None, pa.py_buffer(offsets), pa.py_buffer(restored[kept])]
    )
    return (
        binary
        if not column.null_count
        else pc.if_else(column.is_valid(), binary, pa.scalar(None, pa.binary()))
    )
