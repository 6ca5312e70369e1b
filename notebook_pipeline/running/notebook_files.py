"""Notebook files: where they are, their names and their languages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from notebook_pipeline import settings
from notebook_pipeline.errors import UsageError

PYTHON = "python"
_SUFFIX = ".ipynb"


def find_notebook(notebook: str | Path) -> Path:
    """Return the file of a notebook, given as a name below `notebooks/` or as the path of an .ipynb file.

    A name may contain folders (`finance/invoices`). Raises UsageError if there is no such file.
    """
    given = Path(notebook)
    if given.suffix == _SUFFIX and given.is_file():
        return given.absolute()
    named = settings.notebooks() / f"{str(notebook).removesuffix(_SUFFIX)}{_SUFFIX}"
    if not given.is_absolute() and ".." not in given.parts and named.is_file():
        return named
    found = ", ".join(notebook_names()) or "none"
    raise UsageError(f"no notebook {str(notebook)!r}; notebooks in {settings.notebooks()}: {found}")


def notebook_name(path: Path) -> str:
    """Return a notebook's name in the ledger: its path below `notebooks/`, without the suffix.

    The name of a notebook outside that folder is its whole path, so that names are unique.
    """
    if not path.is_relative_to(settings.notebooks()):
        return path.as_posix()
    return path.relative_to(settings.notebooks()).as_posix().removesuffix(_SUFFIX)


def notebook_names() -> list[str]:
    """Return the names of all notebooks below `notebooks/`, except in hidden folders."""
    paths = (path.relative_to(settings.notebooks()) for path in settings.notebooks().rglob(f"*{_SUFFIX}"))
    visible = (path for path in paths if not any(part.startswith(".") for part in path.parts))
    return sorted(path.as_posix().removesuffix(_SUFFIX) for path in visible)


def language_of(metadata: Mapping[str, Any]) -> str:
    """Return the programming language that a notebook names, `python` if it names none."""
    spec, info = metadata.get("kernelspec") or {}, metadata.get("language_info") or {}
    language = str(spec.get("language") or info.get("name") or PYTHON)
    return PYTHON if language.lower() == PYTHON else language
