"""Numbers as text: counts with their noun, shares, and durations in seconds."""


def counted(count: float, noun: str) -> str:
    """Return a count with its noun, such as `1 row` or `2,000 rows`."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


def percentage(percent: float) -> str:
    """Return a share as text, such as `12.30 %`."""
    return f"{percent:.2f} %"


def in_seconds(duration: float) -> str:
    """Return a duration in seconds as text, without the unit, such as `1,234.5`."""
    return f"{duration:,.1f}"
