"""What the engine needs to know of a kind of source; only `sources/` knows the kinds by name."""

from dataclasses import dataclass

# What `_source` says of the rows of every bulk load; a live kind has a name of its own.
BULK_MARK = "bulk"


@dataclass(frozen=True)
class SourceKind:
    """State how rows of a kind of source are read and merged.

    `name` is what `_source` says of the rows. A live source is read as it is at that moment: of two readings
    the one that began later wins a tie, and it keeps a watermark. Bulk loads win ties in the order of their
    commits, and lose them to live rows. A source that `is_read_first` may turn out to have changed while it
    is read, so nothing is merged before its end. Loads of a dataset run one after the other unless the kind
    says that they may run `side_by_side`. `is_text`: a rejected row may hold numbers and days as text.
    """

    name: str
    is_live: bool
    is_read_first: bool = False
    side_by_side: bool = False
    is_text: bool = False

    def __post_init__(self) -> None:
        if self.is_live == (self.name == BULK_MARK):
            raise ValueError(f"{self.name!r}: bulk kinds, and no others, are named {BULK_MARK!r}")
