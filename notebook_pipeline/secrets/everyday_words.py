"""The words of a project that occur in ordinary text: the names of its datasets, columns and parameters."""

import ast
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from notebook_pipeline import settings
from notebook_pipeline.connections import API, DATABASE, FILES

SHORT = 6
"""Secrets with fewer characters are as common as everyday words."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def everyday_words(parameters: Mapping[str, Any] = {}) -> frozenset[str]:
    """Return the names of all declared datasets and their columns, of notebooks, connections and parameters.

    Declarations are parsed, not executed. Of the parameters given, the names count, and not their values.
    """
    found = {DATABASE, API, FILES, *parameters}
    found |= {path.stem for path in settings.notebooks().glob("*.ipynb")}
    for path in settings.datasets().glob("*.py"):
        found |= {path.stem, *_names_in(path)}
    return frozenset(word.casefold() for word in found)


def is_weak(secret: str, words: Iterable[str]) -> bool:
    """Return True if a secret cannot be told from ordinary text: it is short, or within one of the words."""
    plain = secret.casefold()
    return len(secret) < SHORT or any(plain in word for word in words)


def _names_in(path: Path) -> set[str]:
    """Return the texts in a Python file that may be names."""
    with suppress(OSError, SyntaxError, ValueError, RecursionError):
        nodes = ast.walk(ast.parse(path.read_bytes()))
        texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
        return {text for text in texts if isinstance(text, str) and _NAME.fullmatch(text)}
    return set()
