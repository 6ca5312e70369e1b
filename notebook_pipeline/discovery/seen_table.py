"""What was seen of a table: its columns with types, and the sample's values to look for keys in."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from notebook_pipeline.declare.paths import Path
from notebook_pipeline.discovery.text_types import SeenType


@dataclass(frozen=True)
class SeenColumn:
    """A column as it was seen: where its source has it, its name, its type, and one code per value.

    Equal values have equal codes; -1 stands for null. `values` are the distinct values of a text column that
    has few, `low` and `high` the ends of a column of numbers.
    """

    at: Path
    name: str
    seen: SeenType
    codes: np.ndarray
    values: Sequence[str] = ()
    low: float | None = None
    high: float | None = None
    is_long: bool = False

    @property
    def has_nulls(self) -> bool:
        """Return True if a value was null, or if there was none."""
        return not len(self.codes) or bool((self.codes < 0).any())


@dataclass(frozen=True)
class SeenTable:
    """The columns and the number of rows seen; those to ignore, each with the reason; what is to be decided.

    `is_whole` is true if all rows there are were seen.
    """

    columns: Sequence[SeenColumn]
    rows: int
    is_whole: bool
    ignored: Sequence[tuple[str, str]] = ()
    remarks: Sequence[str] = field(default_factory=tuple)


def codes_of(values: pa.Array) -> np.ndarray:
    """Return a code for each value, equal for equal values, and -1 for null."""
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
