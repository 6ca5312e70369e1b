"""The numbers of merged rows by what became of them."""

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class MergeCounts:
    """The numbers of merged rows by outcome; each row has exactly one of the four outcomes."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0

    def __add__(self, other: "MergeCounts") -> "MergeCounts":
        return MergeCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def total(self) -> int:
        """Return the number of merged rows."""
        return sum(astuple(self))

    def named(self, *, read: int, rejected: int, deleted: int) -> dict[str, int]:
        """Return all counts of a run, named as in `pipeline_run` and `run_child`."""
        return {
            "rows_read": read,
            "rows_inserted": self.inserted,
            "rows_updated": self.updated,
            "rows_unchanged": self.unchanged,
            "rows_stale": self.stale,
            "rows_rejected": rejected,
            "rows_deleted": deleted,
        }
