"""The declaration of one column: its name and its type."""

from dataclasses import KW_ONLY, dataclass

import pyarrow as pa

from notebook_pipeline.declare.arguments import Declaration
from notebook_pipeline.errors import UsageError

TYPES = {
    "pa.int64()": pa.int64(),
    "pa.float64()": pa.float64(),
    "pa.string()": pa.string(),
    "pa.date32()": pa.date32(),
}

# Stored with each row: the run that last changed it, and the kind of source it came from.
MARKS = ("_run_id", "_source")
# PostgreSQL truncates longer names.
MOST_BYTES = 63


@dataclass(frozen=True)
class Column(Declaration):
    """One column; `doc` describes it wherever the dataset is shown."""

    name: str
    type: pa.DataType
    nullable: bool = True
    _: KW_ONLY
    doc: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name or "\0" in self.name or len(self.name.encode()) > MOST_BYTES:
            raise UsageError(
                f"column {self.name!r}: expected a name of 1 to {MOST_BYTES} bytes without a null character"
            )
        if self.name.lower() in MARKS:
            raise UsageError(
                f"column {self.name!r}: the engine adds a column of this name to every table; choose another"
            )
        if self.type not in TYPES.values():
            raise UsageError(
                f"column {self.name!r} has the unsupported type {self.type}; use one of {', '.join(TYPES)}"
            )
