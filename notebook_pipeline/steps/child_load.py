"""The rows of one child in a run: merged with those of its parents, and counted on their own."""

from dataclasses import dataclass, field

import pyarrow as pa

from notebook_pipeline.contract.check_batch import NestedRows, Rejected
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.storage import ledger
from notebook_pipeline.storage.children import Children
from notebook_pipeline.storage.merge_counts import MergeCounts


@dataclass
class ChildLoad:
    """The merge of a child's rows inside the run's transaction, with the counts of all rows."""

    children: Children
    merged: MergeCounts = field(default_factory=MergeCounts)
    rows_read: int = 0
    rows_rejected: int = 0
    rows_deleted: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    def replace(self, rows: NestedRows, parents: pa.RecordBatch, winners: pa.Array) -> None:
        """Replace the rows of those parents in a batch whose numbers are among the winners."""
        counts, deleted = self.children.replace(rows, parents, winners)
        self.merged += counts
        self.rows_deleted += deleted
        self.rows_read += rows.read
        self.rows_rejected += rows.read - rows.good.num_rows
        self.rejected += rows.rejected[: ledger.KEPT_REJECTED_ROWS - len(self.rejected)]

    def delete_missing(self) -> None:
        """Delete the rows of the parents that were deleted last."""
        self.rows_deleted += self.children.delete_missing()

    def verify(self, name: str) -> None:
        """Raise PipelineError if the counts do not add up."""
        if self.merged.total + self.rows_rejected != self.rows_read:
            raise PipelineError(
                f"{name}: read {self.rows_read:,} nested rows, merged {self.merged.total:,} and rejected "
                f"{self.rows_rejected:,}; nothing was committed. This is a bug in the pipeline"
            )

    def counts(self) -> dict[str, int]:
        """Return the counts, named as in `run_child`."""
        return self.merged.named(read=self.rows_read, rejected=self.rows_rejected, deleted=self.rows_deleted)
