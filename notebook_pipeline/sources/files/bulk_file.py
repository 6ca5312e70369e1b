"""Bulk files: fetch what a source names, compute its fingerprint, and read it in batches."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.contract.columns import can_convert
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.files import csv_reader, formats, parquet_reader
from notebook_pipeline.sources.files.download import download, unpack
from notebook_pipeline.sources.files.formats import Format, Kind
from notebook_pipeline.sources.files.locations import Local, Remote, locate, shown
from notebook_pipeline.sources.undeclared import received_names


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
    the same.
    """

    name: str
    path: Path
    format: Format
    sha256: str
    schema: pa.Schema
    rows: int | None
    bytes: int
    stamp: Stamp | None


@dataclass(frozen=True)
class BulkFile:
    """What a source names: one file or several of one format, read in the order of their names.

    `sha256` is the checksum of the one file, or of the names and checksums of all; `rows` is None if the
    number is not known before reading (CSV).
    """

    name: str
    parts: Sequence[Part]
    sha256: str
    format: Kind
    rows: int | None
    bytes: int


def fetch_bulk(source: str, connection: Connection, cache: Path) -> BulkFile:
    """Find the files that `source` names, relative to the connection, and bring them to this machine.

    Remote files are copied into `cache`; local ones are used in place. Raises PipelineError if there are
    none, or if a file's content does not match its name.
    """
    parts = [_part(found, connection, cache) for found in locate(source, connection)]
    kinds = {part.format.kind for part in parts}
    if len(kinds) > 1:
        raise PipelineError(
            f"{shown(source)}: found CSV and Parquet files, expected one format; select it with a glob"
        )
    rows = [part.rows for part in parts if part.rows is not None]
    return BulkFile(
        name=shown(source),
        parts=parts,
        sha256=_fingerprint(parts),
        format=parts[0].format.kind,
        rows=sum(rows) if rows else None,
        bytes=sum(part.bytes for part in parts),
    )


def read_batches(bulk: BulkFile, dataset: Dataset) -> Iterator[RawBatch]:
    """Yield the rows of a bulk file, at most about 85,000 at a time.

    Raises PipelineError before the first batch if a declared column is missing (even a nullable one, whose
    stored values would be lost), appears twice, or has a type that never converts.
    """
    for part in bulk.parts:
        _check_columns(part, dataset)
    done = 0
    for part in bulk.parts:
        for batch in _read_part(part, dataset):
            share = (done + (batch.share or 0) * part.bytes) / bulk.bytes
            yield replace(batch, share=min(share, 1.0))
        _check_unchanged(part)
        done += part.bytes


def unknown_columns(bulk: BulkFile, dataset: Dataset) -> list[str]:
    """Return the columns that the dataset neither declares nor ignores, in the order of the file."""
    names = dict.fromkeys(name for part in bulk.parts for name in part.schema.names)
    expected = received_names(dataset, "files")
    return [name for name in names if name not in expected and name not in dataset.ignored]


def _part(found: Local | Remote, connection: Connection, cache: Path) -> Part:
    name, promised = found.name, formats.of_name(found.name)
    if promised is None:
        raise PipelineError(f"{name}: found an unknown file extension, expected {formats.KNOWN}")
    path, sha256 = (found.path, None) if isinstance(found, Local) else download(found, connection, cache)
    stamp = _stamp(path, name)
    sha256 = sha256 or _sha256(path, name)
    own = stamp if isinstance(found, Local) else None
    part = Part(name, path, promised, sha256, pa.schema([]), None, stamp.size, own)
    formats.check_content(path, name, promised)
    if promised.kind == "csv":
        header = csv_reader.read_header(path, name, promised.compression)
        return replace(part, schema=pa.schema([(column, pa.string()) for column in header]))
    if promised.compression:
        path = unpack(path, name, promised.compression, cache)
        _check_unchanged(part)
        part = replace(part, path=path, stamp=None)
    schema, rows = parquet_reader.read_schema(path, name)
    return replace(part, schema=schema, rows=rows)


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


def _fingerprint(parts: Sequence[Part]) -> str:
    if len(parts) == 1:
        return parts[0].sha256
    lines = sorted(f"{part.sha256} {part.name}\n" for part in parts)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _check_columns(part: Part, dataset: Dataset) -> None:
    names = part.schema.names
    missing = [name for name in received_names(dataset, "files") if name not in names]
    if missing:
        found = f"columns {', '.join(names)}" if names else "no columns"
        declared = f"{', '.join(missing)}, which dataset {dataset.name!r} declares"
        raise PipelineError(f"{part.name}: found {found}, expected {declared}")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise PipelineError(
            f"{part.name}: found duplicate columns {', '.join(twice)}, expected each name once"
        )
    for column in dataset.columns:
        [name] = column.path("files")
        received = part.schema.field(name).type
        if not can_convert(received, column.type, column.written("files")):
            raise PipelineError(f"{part.name}: found column {name} as {received}, expected {column.type}")


def _read_part(part: Part, dataset: Dataset) -> Iterator[RawBatch]:
    if part.format.kind == "csv":
        return csv_reader.read_rows(part.path, part.name, part.format.compression)
    return parquet_reader.read_rows(part.path, part.name, leave_out=dataset.ignored)


def _check_unchanged(part: Part) -> None:
    """Raise PipelineError if a file has changed since its checksum was taken."""
    if part.stamp and _stamp(part.path, part.name) != part.stamp:
        raise PipelineError(
            f"{part.name}: changed while it was read; run this again when the file is complete"
        )
