"""The bookkeeping tables as they are now: their columns, in types that every engine has, and their indexes.

A change here needs a step in schema_steps.py, which changes the databases that exist already.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from notebook_pipeline.storage.database import Database, quoted
from notebook_pipeline.storage.row_counts import ROW_COUNTS

TEXT, INTEGER, REAL = pa.string(), pa.int64(), pa.float64()


@dataclass(frozen=True)
class Field:
    """A column of a bookkeeping table; `allowed` are the only values that it may have, if there are any."""

    name: str
    type: pa.DataType = TEXT
    nullable: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A bookkeeping table; its rows are numbered in their order if `is_numbered`."""

    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    is_numbered: bool = False

    @property
    def names(self) -> list[str]:
        """Return the names of the columns in order."""
        return [field.name for field in self.fields]

    def definition(self, database: Database) -> str:
        """Return the columns and the key as an engine writes them."""
        lines = [_line(database, field) for field in self.fields]
        if self.is_numbered and database.row_number:
            lines.append(database.row_number)
        if self.key:
            lines.append(f"PRIMARY KEY ({', '.join(map(quoted, self.key))})")
        return ", ".join(lines)


def _line(database: Database, field: Field) -> str:
    name = quoted(field.name)
    allowed = ", ".join(f"'{value}'" for value in field.allowed)
    return (
        f"{name} {database.sql_type(field.type)}"
        + ("" if field.nullable else " NOT NULL")
        + (f" CHECK ({name} IN ({allowed}))" if allowed else "")
    )


def _fields(names: str, kind: pa.DataType = TEXT, *, nullable: bool = False) -> tuple[Field, ...]:
    return tuple(Field(name, kind, nullable) for name in names.split())


_COUNTS = _fields(" ".join(ROW_COUNTS), INTEGER, nullable=True)

TABLES: Mapping[str, Table] = {
    "schema_version": Table((*_fields("version", INTEGER), *_fields("applied_at engine")), ("version",)),
    "pipeline_run": Table(
        (
            *_fields("run_id dag_id dag_run_id task_id"),
            *_fields("map_index try_number", INTEGER),
            *_fields("notebook notebook_sha256 parameters"),
            *_fields("dataset source", nullable=True),
            Field("status", allowed=("running", "success", "failed")),
            *_fields("started_at"),
            *_fields("committed_at finished_at", nullable=True),
            *_COUNTS,
            *_fields("watermark_before watermark_after artifact error", nullable=True),
        ),
        ("run_id",),
    ),
    # What a run did to the tables of child datasets.
    "run_child": Table((*_fields("run_id dataset"), *_COUNTS), ("run_id", "dataset")),
    "watermark": Table(_fields("dataset source value run_id updated_at"), ("dataset", "source")),
    # Up to where each partition or shard of a stream has been read.
    "stream_position": Table(
        _fields("dataset source partition value run_id updated_at"), ("dataset", "source", "partition")
    ),
    # Messages of a queue that were merged, so that those that are delivered again are not.
    "received_message": Table(
        _fields("dataset source message_id run_id received_at"), ("dataset", "source", "message_id")
    ),
    "rejected_row": Table(_fields("run_id dataset position row reasons"), is_numbered=True),
    "deleted_row": Table(_fields("dataset key cursor run_id"), ("dataset", "key")),
    "quality_result": Table(
        (
            *_fields("run_id dataset check_name"),
            Field("severity", allowed=("error", "warn")),
            *_fields("passed", INTEGER),
            *_fields("measured expected sample", nullable=True),
            *_fields("measured_number", REAL, nullable=True),
            *_fields("measured_counts", nullable=True),
        )
    ),
    # Files by their content and the contract under which they were read: see loaded_files.loaded_before.
    "loaded_file": Table(_fields("dataset fingerprint run_id"), ("dataset", "fingerprint")),
    # What a run read, and its place in the order of extractions: see extraction_order.py.
    "extraction": Table(
        (*_fields("run_id dataset source place"), *_fields("is_replay", INTEGER)), ("run_id",)
    ),
    "row_place": Table(_fields("dataset key place"), ("dataset", "key")),
    # The rows that a sweep accepted although they were older than the stored ones: see merge_rule.py.
    "accepted_row": Table(_fields("dataset key cursor run_id"), ("dataset", "key")),
    # The last deleting sweep of each source of a dataset: see deletions.py.
    "sweep": Table(_fields("dataset source cursor run_id spared"), ("dataset", "source")),
}

INDEXES: Mapping[str, str] = {
    "pipeline_run_running": "pipeline_run (run_id) WHERE status = 'running'",
    "rejected_row_run": "rejected_row (run_id)",
    "quality_result_run": "quality_result (run_id)",
    "extraction_place": "extraction (dataset, source, place)",
}
