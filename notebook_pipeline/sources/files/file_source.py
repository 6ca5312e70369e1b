"""Bulk files as a source: loaded as a whole, once for each content and contract."""

import hashlib
from collections.abc import Iterator

from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.source_kind import BULK_MARK, SourceKind
from notebook_pipeline.declare.child_datasets import children_of
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.errors import DataRefused
from notebook_pipeline.sources.files import bulk_file
from notebook_pipeline.sources.files.bulk_file import BulkFile
from notebook_pipeline.sources.files.snapshot_keys import SnapshotKeys
from notebook_pipeline.sources.source import Ending
from notebook_pipeline.sources.undeclared import note_undeclared
from notebook_pipeline.storage import loaded_files
from notebook_pipeline.storage.database import Database

BULK = SourceKind(BULK_MARK, is_live=False, side_by_side=True, is_text=True)
# A snapshot is read first, because only all its rows together show which stored ones are missing.
SNAPSHOT = SourceKind(BULK_MARK, is_live=False, is_read_first=True, is_text=True)


class FileSource:
    """Bulk files; those already loaded under the same contract yield no rows, unless `force`.

    A snapshot yields no rows only if it was the last file to be loaded: after another one, it states
    again which rows there are.
    """

    def __init__(self, bulk: BulkFile, dataset: Dataset, database: Database, *, force: bool = False) -> None:
        self.name = bulk.name
        self.kind = SNAPSHOT if dataset.files.snapshot else BULK
        self._bulk = bulk
        self._dataset = dataset
        self._keys = SnapshotKeys(dataset)
        self._fingerprint = f"{bulk.sha256}/{contract_fingerprint(dataset)}"
        loaded_by = None if force else loaded_files.loaded_before(database, dataset.name, self._fingerprint)
        is_current = not dataset.files.snapshot or loaded_by == loaded_files.last_loading_run(
            database, dataset.name
        )
        self._loaded_by = loaded_by if is_current else None

    def batches(self) -> Iterator[RawBatch]:
        """Yield the rows in the order of the files; raise DataRefused if there are none in a snapshot."""
        if self._loaded_by:
            return
        for batch in bulk_file.read_batches(self._bulk, self._dataset):
            if self._dataset.files.snapshot:
                self._keys.add(batch)
            yield batch
        if self._dataset.files.snapshot and not self._keys.rows:
            raise DataRefused(
                f"{self.name}: found a snapshot without rows, which would delete every row of "
                f"{self._dataset.name}; check the file"
            )

    def ending(self) -> Ending:
        """Return the fingerprint that marks the files as loaded, the keys of a snapshot, and notes."""
        if self._loaded_by:
            note = f"{self.name} was already loaded by run {self._loaded_by}; force = true loads it again"
            return Ending(Origin(self.kind), [note], 0)
        absent = dict.fromkeys(name for part in self._bulk.parts for name in part.absent)
        origin = Origin(self.kind, moves_watermark=not absent, fingerprint=self._fingerprint)
        unknown = bulk_file.unknown_columns(self._bulk, self._dataset)
        notes = [*note_undeclared(self._dataset, unknown), *self._bulk.notes, *_note_absent(absent)]
        if not self._dataset.files.snapshot:
            return Ending(origin, notes, self._bulk.rows)
        if self._keys.unreadable:
            notes.append(
                f"{self._keys.unreadable:,} rows of this snapshot have no key that can be read, so no "
                "stored row is deleted: it may be one of them; fix them, and load the snapshot again"
            )
        return Ending(
            origin,
            notes,
            self._bulk.rows,
            keys=self._keys.array(),
            shows_missing=not self._keys.unreadable,
        )


def contract_fingerprint(dataset: Dataset) -> str:
    """Return a digest of everything that decides whether and how a row is accepted."""
    columns = [
        (
            column.name,
            str(column.type),
            column.nullable,
            column.path("files"),
            column.written("files"),
            column.zone,
        )
        for column in dataset.columns
    ]
    contract = (
        str(dataset.schema),
        columns,
        dataset.key,
        dataset.cursor,
        sorted(dataset.ignored),
        dataset.rules,
        dataset.files,
        *((nested.child, contract_fingerprint(nested.dataset)) for nested in children_of(dataset)),
    )
    return hashlib.sha256(repr(contract).encode()).hexdigest()[:16]


def _note_absent(absent: dict[str, None]) -> list[str]:
    if not absent:
        return []
    return [
        f"missing in the file, so null: {', '.join(absent)}; therefore the load sets no starting "
        "watermark, and the next live run reads everything"
    ]
