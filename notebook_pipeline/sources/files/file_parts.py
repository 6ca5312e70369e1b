"""One file of a bulk load: brought to this machine, its format and columns known, and read in batches."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa

from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.files import (
    csv_reader,
    file_columns,
    file_content,
    formats,
    json_reader,
    parquet_reader,
)
from notebook_pipeline.sources.files.csv_header import Header
from notebook_pipeline.sources.files.csv_reader import CsvFile
from notebook_pipeline.sources.files.download import Download, download
from notebook_pipeline.sources.files.file_cache import unpack, unpack_member
from notebook_pipeline.sources.files.formats import HOW_TO_TELL, Format
from notebook_pipeline.sources.files.local_files import Local
from notebook_pipeline.sources.files.remote_file import Remote
from notebook_pipeline.sources.http.retries import file_patience


@dataclass(frozen=True)
class Stamp:
    """The size and modification time of a file, by which a change is detected."""

    size: int
    changed_ns: int


@dataclass(frozen=True)
class Part:
    """One file of a bulk load: its name in positions, its path, its checksum and its columns.

    `path` is what is read: the file itself, its copy, or its unpacked copy. `stamp` detects changes of the
    file itself; it is None for a copy, which is named by its content, so that another run may replace it with
    the same. `values` are those of columns that are not in the file: from its folders, or null for the
    optional columns in `absent`.
    """

    name: str
    path: Path
    format: Format
    sha256: str
    bytes: int
    stamp: Stamp | None
    max_bytes: float
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    rows: int | None = None
    header: Header = field(default_factory=lambda: Header([]))
    values: Mapping[str, str | None] = field(default_factory=dict)
    absent: Sequence[str] = ()
    notes: Sequence[str] = ()


def fetch_part(
    found: Local | Remote, connection: Connection, cache: Path, dataset: Dataset, *, may_be_empty: bool
) -> Part | None:
    """Bring a file to this machine, and find out its format and columns; return None for an empty one.

    Raises PipelineError if it is not what its name or the declaration says.
    """
    copy = None if isinstance(found, Local) else download(found, connection, cache)
    path = copy.path if copy else found.path if isinstance(found, Local) else Path()
    stamp = _stamp(path, found.name)
    if may_be_empty and not stamp.size:
        return None
    part, head = _copied(found, copy, path, stamp, dataset)
    part = replace(part, max_bytes=file_patience(connection).max_bytes)
    if part.format.compression == "zip":
        path, member = unpack_member(part.path, part.name, cache, part.max_bytes)
        inner = formats.of_file(member, dataset.files)
        kind = inner if inner.kind else replace(part.format, compression=None)
        part = replace(part, path=path, format=kind, stamp=None)
        head = file_content.head_of(path, f"{part.name}, {member}", kind.compression)
    if part.format.kind is None:
        raise PipelineError(f"{part.name}: found an unknown format, expected {formats.KNOWN}; {HOW_TO_TELL}")
    file_content.check_content(head, part.name, part.format, dataset.files)
    where = urlsplit(found.url).path if isinstance(found, Remote) else found.path.as_posix()
    values = file_columns.folder_values(where, part.name, dataset)
    return _checked(replace(_with_columns(part, cache, dataset), values=values), dataset)


def _checked(part: Part, dataset: Dataset) -> Part:
    """Return a part with the optional columns that it lacks; raise DataRefused if it lacks another one."""
    is_csv = part.format.kind == "csv"
    delimiter = _delimiter(part, dataset) if is_csv else None
    absent = file_columns.check_columns(part.name, part.schema, dataset, delimiter)
    return replace(part, absent=absent, values={**part.values, **dict.fromkeys(absent)})


def read_part(part: Part, dataset: Dataset) -> Iterator[RawBatch]:
    """Yield the rows of a file with the values of the columns that are not in it.

    Raises PipelineError if the file is damaged, or has changed since its checksum was taken.
    """
    if part.format.kind == "csv":
        numbers = file_columns.number_columns(dataset)
        batches = csv_reader.read_rows(_csv(part, dataset), part.header, numbers)
    elif part.format.kind == "json":
        batches = json_reader.read_rows(part.path, part.name, part.format.compression, part.max_bytes)
    else:
        batches = parquet_reader.read_rows(part.path, part.name, leave_out=dataset.ignored)
    for batch in batches:
        yield file_columns.completed(batch, part.values)
    check_unchanged(part)


def check_unchanged(part: Part) -> None:
    """Raise PipelineError if a file has changed since its checksum was taken."""
    if part.stamp and _stamp(part.path, part.name) != part.stamp:
        raise PipelineError(
            f"{part.name}: changed while it was read; run this again when the file is complete"
        )


def _copied(
    found: Local | Remote, copy: Download | None, path: Path, stamp: Stamp, dataset: Dataset
) -> tuple[Part, bytes]:
    """Return a part without its columns, and the first bytes of the file."""
    name, notes = found.name, []
    if isinstance(found, Remote) and copy:
        promised = formats.of_answer(name, found.url, copy.headers, dataset.files)
        promised = _as_sent(promised, path, name, copy)
    else:
        promised = formats.of_file(name, dataset.files)
    head = file_content.head_of(path, name, promised.compression)
    if copy and not copy.has_length:
        _check_end(copy, name, promised)
        notes = [f"{name}: the server sent no length; nothing proves that the file is complete"]
    sha256, own = (copy.sha256, None) if copy else (_sha256(path, name), stamp)
    return Part(name, path, promised, sha256, stamp.size, own, math.inf, notes=notes), head


def _as_sent(promised: Format, path: Path, name: str, copy: Download) -> Format:
    """Return the format without a compression that only the server named, and removed for the way."""
    if not promised.compression or formats.of_name(name).compression or not copy.headers:
        return promised
    is_packed = file_content.is_compressed(file_content.head_of(path, name, None), promised.compression)
    return promised if is_packed else replace(promised, compression=None)


def _check_end(copy: Download, name: str, promised: Format) -> None:
    """Raise PipelineError if a file of unknown length ends within a row."""
    if promised.kind == "parquet" or promised.compression:
        return  # which end with their own mark
    with copy.path.open("rb") as file:
        file.seek(-min(copy.path.stat().st_size, 4), 2)
        end = file.read().rstrip(b"\0")
    if not end.endswith((b"\n", b"\r", b"}", b"]") if promised.kind == "json" else (b"\n", b"\r")):
        raise PipelineError(
            f"{name}: the server sent no length and closed the connection within a row; run this again, "
            "and if the file is complete, let it end with a line break or the server send a Content-Length"
        )


def _with_columns(part: Part, cache: Path, dataset: Dataset) -> Part:
    if part.format.kind == "csv":
        header = csv_reader.read_header(_csv(part, dataset))
        notes = ["every row ends with one more delimiter, which was ignored"] if header.trailing else []
        noted = [*part.notes, *(f"{part.name}: {note}" for note in notes)]
        schema = pa.schema([(column, pa.string()) for column in header.names])
        return replace(part, header=header, schema=schema, notes=noted)
    if part.format.kind == "json":
        fields = json_reader.read_fields(part.path, part.name, part.format.compression, part.max_bytes)
        return replace(part, schema=pa.schema([(name, pa.string()) for name in fields]))
    if part.format.compression:
        path = unpack(part.path, part.name, part.format.compression, cache, part.max_bytes)
        check_unchanged(part)
        part = replace(part, path=path, stamp=None)
    schema, rows = parquet_reader.read_schema(part.path, part.name)
    return replace(part, schema=schema, rows=rows)


def _csv(part: Part, dataset: Dataset) -> CsvFile:
    return CsvFile(
        part.path,
        part.name,
        part.format.compression,
        dataset.files,
        _delimiter(part, dataset),
        list(file_columns.names_in_file(dataset)),
        part.max_bytes,
    )


def _delimiter(part: Part, dataset: Dataset) -> str:
    """Return the delimiter of a text file: a tab in files named .tsv, unless another one is declared."""
    is_default = dataset.files.text_delimiter == ","
    return "\t" if part.format.has_tabs and is_default else dataset.files.text_delimiter


def _stamp(path: Path, name: str) -> Stamp:
    with _readable(name):
        stat = path.stat()
    return Stamp(stat.st_size, stat.st_mtime_ns)


def _sha256(path: Path, name: str) -> str:
    with _readable(name), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PipelineError(
            f"{name}: cannot be read: {error}; check that it exists and can be read"
        ) from None
