"""The first bytes of a file, compared with the format that it should have."""

from pathlib import Path

from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.files.formats import HOW_TO_TELL, Format, whole
from notebook_pipeline.sources.files.text_stream import unpacked

_SIGNATURES = {
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "gzip data",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"BZh": "bz2 data",
    b"\xfd7zXZ\0": "xz data",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PK\x05\x06": "an empty zip archive",
    b"SQLite format 3\0": "an SQLite database",
    b"%PDF": "a PDF document",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"<": "an HTML or XML page",
    b"{": "a JSON object",
    b"[": "a JSON list",
}
_OF_COMPRESSION = {
    "gzip": ("gzip data",),
    "zstd": ("zstd data",),
    "bz2": ("bz2 data",),
    "xz": ("xz data",),
    "zip": ("a zip archive or an Excel workbook", "an empty zip archive"),
}
_HEAD = 512


def head_of(path: Path, name: str, compression: str | None) -> bytes:
    """Return the first bytes of a file, decompressed.

    Raises PipelineError if there are none, or if the file is not compressed as it should be.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise PipelineError(f"{name}: the file is empty; expected the dataset's columns")
    if not compression:
        return head
    check_compression(head, name, compression)
    if compression == "zip":
        return b""
    with whole(name, compression), path.open("rb") as file:
        head = unpacked(file, compression).read(_HEAD)
    if not head:
        raise PipelineError(
            f"{name}: the {compression} file contains no data; expected the dataset's columns"
        )
    return head


def is_compressed(head: bytes, compression: str) -> bool:
    """Return True if a file that begins with these bytes is compressed in this way."""
    return recognised(head) in _OF_COMPRESSION[compression]


def check_compression(head: bytes, name: str, compression: str) -> None:
    """Raise PipelineError if a file is not compressed as its name says."""
    if not is_compressed(head, compression):
        raise PipelineError(
            f"{name}: found {recognised(head) or 'other data'}, expected {compression} data according to "
            "its name"
        )


def check_content(head: bytes, name: str, promised: Format, files: Files) -> None:
    """Raise PipelineError if a file's first bytes do not match its format."""
    found = recognised(head)
    if promised.kind == "parquet" and head[:4] != b"PAR1":
        raise PipelineError(f"{name}: found {found or 'other data'}, expected a Parquet file; {HOW_TO_TELL}")
    if promised.kind == "json" and found not in ("a JSON object", "a JSON list"):
        raise PipelineError(
            f"{name}: found {found or 'other data'}, expected a JSON list, or one JSON object a line; "
            f"{HOW_TO_TELL}"
        )
    is_utf16 = found == "UTF-16 text" and "16" in files.encoding
    if promised.kind == "csv" and found and not is_utf16 and not (files.skip_lines or files.comment):
        remedy = "declare Files(encoding='utf-16')" if found == "UTF-16 text" else HOW_TO_TELL
        raise PipelineError(f"{name}: found {found}, expected CSV text in {files.encoding.upper()}; {remedy}")


def recognised(head: bytes) -> str | None:
    """Return what a file is that begins with these bytes, or None if they tell nothing."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for signature, what in _SIGNATURES.items():
        if head.startswith(signature) or (len(signature) == 1 and text.startswith(signature)):
            return what
    return None
