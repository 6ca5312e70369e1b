"""The properties of a kind of source that the engine uses; only `sources/` knows the kinds by name."""

from dataclasses import dataclass

from notebook_pipeline.declare.column import FAMILIES, Family

# The `_source` of rows from every bulk load; each live kind has a name of its own.
BULK_MARK = "bulk"


@dataclass(frozen=True)
class SourceKind:
    """How rows of one kind of source are read and merged.

    `name` is stored as `_source` with the rows. A live source is read in its current state: of two readings
    the one that began later wins a tie, and it has a watermark. Bulk loads win ties in the order of their
    commits, and lose them to live rows. A source that `is_read_first` may change while it is read, so nothing
    is merged before it has been read to its end. Loads of a dataset run one after the other unless the kind
    allows `side_by_side`. With `is_text`, a rejected row may contain numbers and days as text.
    """

    name: str
    is_live: bool
    is_read_first: bool = False
    side_by_side: bool = False
    is_text: bool = False

    def __post_init__(self) -> None:
        if self.is_live == (self.name == BULK_MARK):
            raise ValueError(f"{self.name!r}: bulk kinds, and only those, must be named {BULK_MARK!r}")

    @property
    def family(self) -> Family:
        """Return the family of sources for which columns declare where and how they are written."""
        live: dict[str, Family] = {family: family for family in FAMILIES}
        return live.get(self.name, "files")
