"""Whether bytes are UTF-8."""

import numpy as np
import pyarrow as pa


def is_utf8(chunk: pa.Buffer) -> bool:
    """Return True if bytes are valid UTF-8."""
    bounds = pa.py_buffer(np.array([0, len(chunk)], np.int32))
    try:
        pa.Array.from_buffers(pa.binary(), 1, [None, bounds, chunk]).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True
