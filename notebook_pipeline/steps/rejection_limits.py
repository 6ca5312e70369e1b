"""How many rows of a run may be rejected before it is refused."""

from dataclasses import dataclass

# One bad row or message must never block what comes after it.
_ALWAYS_ALLOWED = 10


@dataclass(frozen=True)
class Limits:
    """The limits of rejected rows; if `max_rejected_rows` is -1, only the percentage applies.

    A percentage is a share of many: a bulk load may reject up to 10 rows if these are at most a tenth of its
    rows, and a live run up to 10 in any case. With a percentage of 0, no row may be rejected.
    """

    max_rejected_rows: int = -1
    max_rejected_percent: float = 1.0

    def exceeded_by(self, rejected: int, read: int, *, is_live: bool) -> str | None:
        """Return the limit that the number of rejected rows exceeds, as text, or None."""
        if 0 <= self.max_rejected_rows < rejected:
            return f"max_rejected_rows = {self.max_rejected_rows}"
        always = _ALWAYS_ALLOWED if is_live else min(_ALWAYS_ALLOWED, read / 10)
        allowed = max(read * self.max_rejected_percent / 100, always if self.max_rejected_percent else 0)
        return f"max_rejected_percent = {self.max_rejected_percent}" if rejected > allowed else None
