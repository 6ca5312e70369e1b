"""Bulk files as a source: loaded as a whole, once for each content and contract."""

import hashlib
from collections.abc import Iterator

from notebook_pipeline.contract.batch import Origin, RawBatch
from notebook_pipeline.contract.source_kind import BULK_MARK, SourceKind
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.sources.files import bulk_file
from notebook_pipeline.sources.files.bulk_file import BulkFile
from notebook_pipeline.sources.source import Ending
from notebook_pipeline.sources.undeclared import note_undeclared
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.database import Database

BULK = SourceKind(BULK_MARK, is_live=False, side_by_side=True, is_text=True)


class FileSource:
    """Bulk files; those already loaded under the same contract yield no rows, unless `force`."""

    kind = BULK

    def __init__(self, bulk: BulkFile, dataset: Dataset, database: Database, *, force: bool = False) -> None:
        self.name = bulk.name
        self._bulk = bulk
        self._dataset = dataset
        self._fingerprint = f"{bulk.sha256}/{contract_fingerprint(dataset)}"
        self._loaded_by = None if force else ledger.loaded_before(database, dataset.name, self._fingerprint)

    def batches(self) -> Iterator[RawBatch]:
        """Yield the rows in the order of the files."""
        return iter(()) if self._loaded_by else bulk_file.read_batches(self._bulk, self._dataset)

    def ending(self) -> Ending:
        """Return the fingerprint that marks the files as loaded, and notes."""
        if self._loaded_by:
            note = f"{self.name} was already loaded by run {self._loaded_by}; force = true loads it again"
            return Ending(Origin(BULK), [note], 0)
        unknown = bulk_file.unknown_columns(self._bulk, self._dataset)
        origin = Origin(BULK, fingerprint=self._fingerprint)
        return Ending(origin, note_undeclared(self._dataset, unknown), self._bulk.rows)


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
    )
    return hashlib.sha256(repr(contract).encode()).hexdigest()[:16]
