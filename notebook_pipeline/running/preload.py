"""Slow imports: those of a notebook are loaded before its cells run, unneeded ones are prevented."""

import ast
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_PACKAGE = "notebook_pipeline"
_FOLDER = Path(__file__).resolve().parent.parent


def imports_of(notebook: Mapping[str, Any]) -> list[str]:
    """Return the modules of this package that a notebook's code cells import, in order."""
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    return list(dict.fromkeys(module for cell in cells for module in _modules(cell["source"])))


def load(modules: Sequence[str]) -> None:
    """Import modules, ignoring errors; the cell that imports a broken one will show its error."""
    for module in modules:
        with suppress(Exception):
            importlib.import_module(module)


@contextmanager
def without(packages: Iterable[str]) -> Iterator[None]:
    """Make packages that are not loaded yet look as if they were not installed."""
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


def _modules(source: str) -> Iterator[str]:
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic, or a cell that will fail
        return
    for statement in statements:
        match statement:
            case ast.ImportFrom(module=str(module), names=names, level=0) if _is_ours(module):
                yield from _modules_of(module, [name.name for name in names])


def _is_ours(module: str) -> bool:
    return f"{module}.".startswith(f"{_PACKAGE}.")


def _modules_of(module: str, names: Sequence[str]) -> Sequence[str]:
    """Return the modules that an import loads: submodules among its names, or else the module itself."""
    folder = _FOLDER.joinpath(*module.split(".")[1:])
    inner = [name for name in names if (folder / name).is_dir() or (folder / f"{name}.py").is_file()]
    return [f"{module}.{name}" for name in inner] or [module]
