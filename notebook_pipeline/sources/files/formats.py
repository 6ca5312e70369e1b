"""File formats, recognised by name and by first bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import pyarrow as pa

from notebook_pipeline.errors import PipelineError

Kind = Literal["csv", "parquet"]
Compression = Literal["gzip", "zstd"]

KNOWN = ".csv or .parquet, optionally followed by .gz or .zst"

_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
_SIGNATURES = {
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "gzip data",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"SQLite format 3\0": "an SQLite database",
    b"%PDF": "a PDF document",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"<": "an HTML or XML page",
    b"{": "a JSON object",
    b"[": "a JSON list",
}
_HEAD = 512


@dataclass(frozen=True)
class Format:
    """The format of a file: its kind, and how that is compressed, if at all."""

    kind: Kind
    compression: Compression | None = None


def of_name(name: str) -> Format | None:
    """Return the format that a file's extension indicates, or None if it is unknown."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    kind = suffixes[-2:-1] if compression else suffixes[-1:]
    if kind == [".csv"]:
        return Format("csv", compression)
    return Format("parquet", compression) if kind == [".parquet"] else None


def open_stream(path: Path, compression: str | None) -> pa.NativeFile:
    """Open a file for reading, decompressed."""
    return pa.input_stream(str(path), compression=compression)


@contextmanager
def whole(name: str, what: str) -> Iterator[None]:
    """Turn Arrow's error about a damaged file into a PipelineError that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        said = " ".join(str(error).split())
        raise PipelineError(
            f"{name}: damaged or truncated {what} file: {said}; fetch or write it again"
        ) from None


def check_content(path: Path, name: str, promised: Format) -> None:
    """Raise PipelineError if a file's first bytes do not match its name."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise PipelineError(f"{name}: the file is empty; expected {promised.kind} with the dataset's columns")
    if promised.compression:
        head = _decompressed(path, name, head, promised.compression)
    found = _recognise(head)
    if promised.kind == "parquet" and head[:4] != b"PAR1":
        raise PipelineError(f"{name}: found {found or repr(head[:20])}, expected a Parquet file")
    if promised.kind == "csv" and found:
        raise PipelineError(
            f"{name}: found {found}, expected CSV text in UTF-8; give the file the extension of its format"
        )


def _decompressed(path: Path, name: str, head: bytes, compression: str) -> bytes:
    found = _recognise(head)
    if found != f"{compression} data":
        raise PipelineError(
            f"{name}: found {found or repr(head[:20])}, expected {compression} data according to its name"
        )
    with whole(name, compression), open_stream(path, compression) as stream:
        head = stream.read(_HEAD)
    if not head:
        raise PipelineError(
            f"{name}: the {compression} file contains no data; expected the dataset's columns"
        )
    return head


def _recognise(head: bytes) -> str | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for signature, what in _SIGNATURES.items():
        if head.startswith(signature) or (len(signature) == 1 and text.startswith(signature)):
            return what
    return None
