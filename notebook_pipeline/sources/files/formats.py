"""File formats: known from the declaration, a name or a server's answer, and checked by the first bytes."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa

from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.errors import PipelineError

Kind = Literal["csv", "parquet", "json"]
Compression = Literal["gzip", "zstd", "bz2", "xz", "zip"]

KNOWN = ".csv, .tsv, .parquet, .json, .jsonl or .ndjson, optionally followed by .gz, .zst, .bz2, .xz or .zip"
HOW_TO_TELL = "give it the extension of its format, or declare Files(format=…), for example 'csv'"

_COMPRESSIONS: dict[str, Compression] = {
    ".gz": "gzip",
    ".zst": "zstd",
    ".bz2": "bz2",
    ".xz": "xz",
    ".zip": "zip",
}
_KINDS: dict[str, Kind] = {
    "csv": "csv",
    "tsv": "csv",
    "parquet": "parquet",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
}
# What servers call the formats.
_CONTENT_TYPES = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/json": "json",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/jsonlines": "jsonl",
    "application/ndjson": "ndjson",
    "application/x-ndjson": "ndjson",
}


@dataclass(frozen=True)
class Format:
    """The format of a file: its kind, if known, its compression, if any, and if tabs separate fields."""

    kind: Kind | None
    compression: Compression | None = None
    has_tabs: bool = False


def of_name(name: str) -> Format:
    """Return the format that a file's extension indicates, in upper or lower case."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    kind = suffixes[-2:-1] if compression else suffixes[-1:]
    return replace(_of_word(kind[0][1:] if kind else ""), compression=compression)


def is_bulk_file(name: str, files: Files) -> bool:
    """Return True if a file in a folder is one to load: it has the extension of a known or no format.

    Files without an extension count only if the declaration names their format.
    """
    found, declared = of_name(name), _of_word(files.format)
    if declared.kind:
        plain = PurePosixPath(name).with_suffix("").name if found.compression else name
        return found.kind == declared.kind or "." not in plain
    return bool(found.kind) or found.compression == "zip"


def of_file(name: str, files: Files) -> Format:
    """Return the format of a file with this name: its kind is the declared one, if there is one."""
    return _merged(_of_word(files.format), of_name(name))


def of_answer(name: str, url: str, headers: Mapping[str, str], files: Files) -> Format:
    """Return the format of a downloaded file.

    It is the declared one, or that of the first that tells it: the name in the URL, the name that the server
    gives the file, the content type, the parameter `format` of the URL.
    """
    asked = parse_qs(urlsplit(url).query).get("format", [""])[0]
    return _merged(
        _of_word(files.format),
        of_name(name),
        of_name(attached_name(headers)),
        _of_word(_CONTENT_TYPES.get(_content_type(headers), "")),
        _of_word(asked.lower()),
    )


def attached_name(headers: Mapping[str, str]) -> str:
    """Return the file name in a Content-Disposition header, or ""."""
    message = Message()
    message["content-disposition"] = headers.get("content-disposition", "")
    return unquote(message.get_filename() or "")


def _content_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _of_word(word: str) -> Format:
    return Format(_KINDS.get(word), has_tabs=word == "tsv")


def _merged(*told: Format) -> Format:
    """Return the first kind and the first compression that are known."""
    kind = next((one for one in told if one.kind), Format(None))
    return replace(kind, compression=next((one.compression for one in told if one.compression), None))


@contextmanager
def whole(name: str, what: str) -> Iterator[None]:
    """Turn an error about a damaged file into a PipelineError that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile, zlib.error) as error:
        said = " ".join(str(error).split())
        raise PipelineError(
            f"{name}: damaged or truncated {what} file: {said}; fetch or write it again"
        ) from None
