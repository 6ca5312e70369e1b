"""Values in an answer: found by a path, and replaced by one."""

from collections.abc import Mapping

from notebook_pipeline.declare.paths import EACH, Path, path_steps


class _Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()
"""What `find` returns if nothing is at a path; null is a value."""


def find(value: object, path: Path) -> object:
    """Return what is at a path in a JSON value, or MISSING; a number in a path is an index in a list."""
    return _find(value, path_steps(path))


def _find(value: object, steps: tuple[str, ...]) -> object:
    for number, step in enumerate(steps):
        if step == EACH:
            if not isinstance(value, list):
                return MISSING
            found = [_find(item, steps[number + 1 :]) for item in value]
            return [None if item is MISSING else item for item in found]
        if isinstance(value, Mapping):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and step.removeprefix("-").isdecimal():
            value = value[int(step)] if -len(value) <= int(step) < len(value) else MISSING
        else:
            return MISSING
    return value


def with_value(target: Mapping[str, object], path: str, value: object) -> dict[str, object]:
    """Return a copy of a JSON object with a value at a path; objects on the way are made if missing."""
    first, *others = path_steps(path)
    changed = dict(target)
    inner = changed.get(first)
    inside = inner if isinstance(inner, Mapping) else {}
    changed[first] = with_value(inside, ".".join(others), value) if others else value
    return changed
