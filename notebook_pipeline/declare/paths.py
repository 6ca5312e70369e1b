"""Paths into JSON: names joined by dots, or a tuple of names if one of them contains a dot."""

from notebook_pipeline.errors import UsageError

Path = str | tuple[str, ...]

EACH = "[]"
"""The mark after a name whose value is a list: the path goes on in each of its items."""


def path_steps(path: Path) -> tuple[str, ...]:
    """Return the names of a path; a name followed by `[]` gives a step of its own, `[]`."""
    if not isinstance(path, str):
        return path
    steps: list[str] = []
    for name in path.split(".") if path else ():
        each = name.endswith(EACH)
        steps += [name.removesuffix(EACH), EACH] if each else [name]
    return tuple(steps)


def refuse_bad_path(declaration: str, argument: str, path: Path, *, optional: bool = False) -> None:
    """Raise UsageError if a path is empty (unless it is `optional`) or contains an empty name."""
    if path in ("", ()) and optional:
        return
    if not path or not all(path_steps(path)):
        raise UsageError(
            f"{declaration}: {argument} is {path!r}; expected a path such as 'count' or 'meta.count', or a "
            "tuple of names if one of them contains a dot"
        )
