"""Bulk files: fetch what a source names, compute its fingerprint, and read it in batches."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from notebook_pipeline.connections import Connection
from notebook_pipeline.contract.batch import RawBatch
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.sources.files.file_columns import names_in_file
from notebook_pipeline.sources.files.file_parts import Part, fetch_part, read_part
from notebook_pipeline.sources.files.formats import Kind
from notebook_pipeline.sources.files.locations import locate, shown
from notebook_pipeline.sources.undeclared import nested_names


@dataclass(frozen=True)
class BulkFile:
    """What a source names: one file or several of one format, read in the order of their names.

    `sha256` is the checksum of the one file, or of the names and checksums of all; `rows` is None if the
    number is not known before reading (CSV, JSON).
    """

    name: str
    parts: Sequence[Part]
    sha256: str
    format: Kind
    rows: int | None
    bytes: int
    notes: Sequence[str] = ()


def fetch_bulk(source: str, connection: Connection, cache: Path, dataset: Dataset) -> BulkFile:
    """Find the files that `source` names, relative to the connection, and bring them to this machine.

    Remote files are copied into `cache`; local ones are used in place. Raises PipelineError if there are
    none, if a file's content does not match its name, or if a declared column is missing (even a nullable
    one, whose stored values would be lost, unless it is optional), appears twice, or has a type that never
    converts.
    """
    located = locate(source, connection, dataset.files)
    may_be_empty = len(located) > 1
    fetched = [fetch_part(found, connection, cache, dataset, may_be_empty=may_be_empty) for found in located]
    parts = [part for part in fetched if part]
    if not parts:
        raise PipelineError(
            f"{shown(source)}: all {len(located)} files are empty; expected the dataset's columns"
        )
    kinds = sorted({str(part.format.kind) for part in parts})
    if len(kinds) > 1:
        raise PipelineError(
            f"{shown(source)}: found files of the formats {' and '.join(kinds)}, expected one; select it "
            "with a glob"
        )
    empty = [found.name for found, part in zip(located, fetched, strict=True) if not part]
    rows = [part.rows for part in parts if part.rows is not None]
    return BulkFile(
        name=shown(source),
        parts=parts,
        sha256=_fingerprint(parts),
        format=parts[0].format.kind or "csv",
        rows=sum(rows) if rows else None,
        bytes=sum(part.bytes for part in parts),
        notes=[
            *([f"skipped, because they are empty: {', '.join(empty)}"] if empty else []),
            *(note for part in parts for note in part.notes),
        ],
    )


def read_batches(bulk: BulkFile, dataset: Dataset) -> Iterator[RawBatch]:
    """Yield the rows of a bulk file, at most about 85,000 at a time."""
    done = 0
    for part in bulk.parts:
        for batch in read_part(part, dataset):
            share = (done + (batch.share or 0) * part.bytes) / bulk.bytes
            yield replace(batch, share=min(share, 1.0))
        done += part.bytes


def unknown_columns(bulk: BulkFile, dataset: Dataset) -> list[str]:
    """Return the columns that the dataset neither declares nor ignores, in the order of the file."""
    found: dict[str, int] = {}
    for part in bulk.parts:
        for name, count in Counter(part.schema.names).items():
            found[name] = max(count, found.get(name, 0))
    known = {*names_in_file(dataset), *dataset.ignored, *nested_names(dataset, "files")}
    return [_with_count(name, count) for name, count in found.items() if name not in known]


def _with_count(name: str, count: int) -> str:
    named = name or "(no name)"
    return f"{named} ({count} times)" if count > 1 else named


def _fingerprint(parts: Sequence[Part]) -> str:
    """Return the checksum of all parts; names count, as their order decides between versions of a key."""
    if len(parts) == 1 and not parts[0].values:
        return parts[0].sha256
    lines = sorted(f"{part.sha256} {part.name} {sorted(part.values.items())}\n" for part in parts)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
