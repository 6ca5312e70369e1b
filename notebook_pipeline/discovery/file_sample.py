"""The table in a file, as a sample of its rows shows it, and how the file is declared."""

import codecs
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path
from typing import cast

import pyarrow as pa

from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.discovery.column_names import column_names
from notebook_pipeline.discovery.csv_dialect import Dialect, dialect_of
from notebook_pipeline.discovery.draft import SourceDraft
from notebook_pipeline.discovery.encoding_seen import encoding_of
from notebook_pipeline.discovery.python_layout import call
from notebook_pipeline.discovery.sampled_rows import Sampled, sampled
from notebook_pipeline.discovery.seen_table import SeenTable
from notebook_pipeline.discovery.text_columns_seen import text_columns
from notebook_pipeline.discovery.value_columns_seen import arrow_column, json_column
from notebook_pipeline.errors import UsageError
from notebook_pipeline.sources.files import csv_reader, file_content, formats, json_reader, parquet_reader
from notebook_pipeline.sources.files.csv_reader import CsvFile
from notebook_pipeline.sources.files.file_cache import unpack, unpack_member
from notebook_pipeline.sources.files.formats import Format
from notebook_pipeline.sources.files.text_stream import open_text

_MAX_BYTES = 20e9
_ENCODING_BYTES = 32 << 20
_DIALECT_CHARACTERS = 1 << 18
_NO_NAME = "this column has no name in the file, so it cannot be loaded"
_TWICE = "several columns of the file have this name, so none of them can be loaded"


def table_in_file(path: Path, name: str, cache: Path) -> tuple[SeenTable, SourceDraft]:
    """Return what a file shows, and its declaration; `cache` is a folder for what is unpacked.

    Raises UsageError if the file is empty or has no rows, PipelineError if it cannot be read.
    """
    found = formats.of_name(name)
    if found.compression == "zip":
        path, member = unpack_member(path, name, cache, _MAX_BYTES)
        found = formats.of_name(member) if formats.of_name(member).kind else replace(found, compression=None)
    if not path.stat().st_size:
        raise UsageError(f"{name}: the file is empty; expected rows to take columns and types from")
    head = file_content.head_of(path, name, found.compression)
    kind = found.kind or _kind_of(head, name)
    file_content.check_content(head, name, replace(found, kind=kind), _lenient(head))
    declared = "" if found.kind else "jsonl" if kind == "json" else kind
    if kind == "csv":
        return _csv_table(path, name, found, declared)
    if kind == "json":
        return _json_table(path, name, found, declared)
    return _parquet_table(path, name, found, cache, declared)


def _kind_of(head: bytes, name: str) -> formats.Kind:
    """Return the format of a file whose name does not tell it."""
    seen = file_content.recognised(head)
    if seen == "a Parquet file":
        return "parquet"
    if seen in ("a JSON object", "a JSON list"):
        return "json"
    if seen and seen != "UTF-16 text":
        raise UsageError(f"{name}: found {seen}, expected {formats.KNOWN}; convert it, or correct its name")
    return "csv"


def _lenient(head: bytes) -> Files:
    """Return a declaration with which text in UTF-16 passes as CSV."""
    return Files(encoding="utf-16") if b"\0" in head else Files()


def _csv_table(path: Path, name: str, found: Format, declared: str) -> tuple[SeenTable, SourceDraft]:
    dialect, remarks = _dialect(path, name, found)
    names = [f"column_{number}" for number in range(1, dialect.width + 1)]
    raw = replace(dialect.files, nulls=())
    file = CsvFile(path, name, found.compression, raw, raw.delimiter, names, _MAX_BYTES)
    header = csv_reader.read_header(file)
    rows = sampled(csv_reader.read_rows(file, header, []))
    _check_rows(rows, name)
    table = pa.Table.from_batches(rows.columns).combine_chunks()
    texts = {one: _one_array(table.column(one)) for one in table.column_names}
    columns, files, more = text_columns(texts, dialect.files)
    if found.has_tabs and files.delimiter == ",":
        declared = "csv"  # else a file of this name is read with tabs
    twice = [one for one, count in Counter(header.names).items() if count > 1 or not one]
    ignored = [(one, _TWICE if one else _NO_NAME) for one in twice]
    remarks = [*remarks, *more, *_on_malformed(rows)]
    seen = SeenTable(columns, rows.rows, rows.is_whole, ignored, remarks)
    return seen, _declared(replace(files, format=declared))


def _dialect(path: Path, name: str, found: Format) -> tuple[Dialect, list[str]]:
    with open_text(path, name, found.compression, "utf-8", _MAX_BYTES) as stream:
        text = b""
        while len(text) < _ENCODING_BYTES and (piece := stream.read(1 << 20)):
            text += piece
        is_whole = not stream.read(1)
    encoding = encoding_of(text)
    decoder = codecs.getincrementaldecoder(encoding.name)("replace")
    decoded = decoder.decode(text).removeprefix("\ufeff")
    is_whole = is_whole and len(decoded) <= _DIALECT_CHARACTERS
    dialect = dialect_of(decoded[:_DIALECT_CHARACTERS], encoding.name, is_whole=is_whole)
    return dialect, [*encoding.remarks, *dialect.remarks]


def _json_table(path: Path, name: str, found: Format, declared: str) -> tuple[SeenTable, SourceDraft]:
    rows = sampled(json_reader.read_rows(path, name, found.compression, _MAX_BYTES))
    objects = [row for row in rows.values if isinstance(row, dict)]
    _check_rows(rows, name)
    if not objects:
        raise UsageError(f"{name}: found values that are not objects, expected a list of JSON objects")
    if len(rows.values) == 1 and (lists := _lists_in(objects[0])):
        raise UsageError(
            f"{name}: found one object with the list {lists[0]!r} in it, expected the rows themselves; write "
            "them as one list, or one object a line"
        )
    received = [*dict.fromkeys(chain.from_iterable(objects))]
    names = dict(zip(received, column_names(received), strict=True))
    columns = [json_column(at, names[at], [row.get(at) for row in objects]) for at in received]
    seen = SeenTable(columns, rows.rows, rows.is_whole, remarks=_on_malformed(rows))
    return seen, _declared(Files(format=declared))


def _parquet_table(
    path: Path, name: str, found: Format, cache: Path, declared: str
) -> tuple[SeenTable, SourceDraft]:
    if found.compression:
        path = unpack(path, name, found.compression, cache, _MAX_BYTES)
    rows = sampled(parquet_reader.read_rows(path, name, leave_out=()))
    _check_rows(rows, name)
    table = pa.Table.from_batches(rows.columns).combine_chunks()
    names = column_names(table.column_names)
    columns, ignored = [], []
    for at, one in zip(table.column_names, names, strict=True):
        column = arrow_column(one, at, _one_array(table.column(at)))
        if isinstance(column, str):
            ignored.append((at, column))
        else:
            columns.append(column)
    seen = SeenTable(columns, rows.rows, rows.is_whole, ignored)
    return seen, _declared(Files(format=declared))


def _declared(files: Files) -> SourceDraft:
    """Return the declaration of files, with the arguments that differ from the usual ones."""
    usual = Files()
    given = {one.name: getattr(files, one.name) for one in fields(files)}
    changed = {name: value for name, value in given.items() if value != getattr(usual, name)}
    return SourceDraft("files", call("Files", **changed))


def _check_rows(rows: Sampled, name: str) -> None:
    if rows.rows:
        return
    why = f"; the first one that cannot be read: {rows.malformed[0].reason}" if rows.malformed else ""
    raise UsageError(f"{name}: found no rows, expected some to take types from{why}")


def _on_malformed(rows: Sampled) -> list[str]:
    if not rows.malformed:
        return []
    first = rows.malformed[0]
    return [
        f"{len(rows.malformed):,} of the rows seen cannot be read and will be rejected, the first at "
        f"{first.position}: {first.reason}"
    ]


def _lists_in(row: Mapping[str, object]) -> list[str]:
    """Return the fields of a row that are lists of objects."""
    lists = {name: value for name, value in row.items() if isinstance(value, list)}
    return [name for name, value in lists.items() if any(isinstance(item, dict) for item in value)]


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return cast("pa.Array", column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
