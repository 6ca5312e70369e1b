"""Names of columns for a table, from those that a source gives them."""

import re
from collections.abc import Sequence

from notebook_pipeline.declare.column import MARKS, MOST_BYTES

_PLAIN = re.compile(r"[^\W\d]\w*")
_OTHERS = re.compile(r"\W+")


def column_names(received: Sequence[str]) -> list[str]:
    """Return a name for each received one: itself if it is a plain word, else its words joined by _."""
    names: list[str] = []
    for one in received:
        plain = one if _is_usable(one) else _joined(one)
        name, number = plain, 2
        while name.lower() in {*MARKS, *map(str.lower, names)}:
            name, number = f"{plain}_{number}", number + 1
        names.append(name)
    return names


def _is_usable(name: str) -> bool:
    return bool(_PLAIN.fullmatch(name)) and len(name.encode()) <= MOST_BYTES - 4


def _joined(name: str) -> str:
    words = _OTHERS.sub("_", name).strip("_").lower() or "column"
    named = words if _PLAIN.fullmatch(words) else f"column_{words}"
    return named.encode()[: MOST_BYTES - 4].decode("utf-8", "ignore")
