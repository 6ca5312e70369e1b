"""Know what a notebook's cells import of this package, and load it before a kernel asks for its cells."""

import ast
import importlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress

_PACKAGE = "notebook_pipeline"


def imports_of(content: bytes) -> list[str]:
    """Return this package's modules that the code cells of a notebook import, in their order."""
    cells = (cell for cell in json.loads(content)["cells"] if cell["cell_type"] == "code")
    return list(dict.fromkeys(module for cell in cells for module in _modules("".join(cell["source"]))))


def load(modules: Sequence[str]) -> None:
    """Import modules; what is wrong with one will be said where a cell imports it."""
    for module in modules:
        with suppress(Exception):
            importlib.import_module(module)


def _modules(source: str) -> Iterator[str]:
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic, or a cell that is going to fail
        return
    for statement in statements:
        match statement:
            case ast.ImportFrom(module=module, names=names, level=0) if module == _PACKAGE:
                yield from (f"{_PACKAGE}.{name.name}" for name in names)
            case ast.ImportFrom(module=str(module), level=0) if module.startswith(f"{_PACKAGE}."):
                yield module
