"""The datasets that a project declares: `datasets/<name>.py` below the home folder, one dataset per file."""

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from traceback import walk_tb
from types import CodeType, ModuleType
from typing import NamedTuple

from notebook_pipeline import declare, settings
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.declare.dataset_names import NAME
from notebook_pipeline.errors import UsageError

_UNEXPECTED = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument")

_read: dict[Path, tuple[tuple[int, int], Dataset]] = {}


class Catalogue(NamedTuple):
    """The declared datasets by name, and the errors of the files that cannot be used, also by name."""

    datasets: Mapping[str, Dataset]
    problems: Mapping[str, str]


def get(name: str) -> Dataset:
    """Return the dataset that `datasets/<name>.py` declares; no other file is read.

    Raises UsageError if there is no such file, or if its declaration is wrong.
    """
    path = settings.datasets() / f"{name}.py"
    if not (NAME.fullmatch(name) and path.is_file()):
        there = ", ".join(found.stem for found in _files()) or "nothing"
        raise UsageError(f"unknown dataset {name!r}; declared in {settings.datasets()}: {there}")
    return read_declaration(path)


def load_all() -> Catalogue:
    """Return every declared dataset, and the errors of the files that cannot be used."""
    datasets: dict[str, Dataset] = {}
    problems: dict[str, str] = {}
    for path in _files():
        try:
            datasets[path.stem] = read_declaration(path)
        except UsageError as error:
            problems[path.stem] = str(error)
    return Catalogue(datasets, problems)


def declaring(*words: str) -> list[Dataset]:
    """Return the datasets whose files contain all of these words; files that cannot be used are left out."""
    found: list[Dataset] = []
    for path in _files():
        with suppress(UsageError, OSError):
            text = path.read_bytes()
            if all(word.encode() in text for word in words):
                found.append(read_declaration(path))
    return found


def read_declaration(path: Path) -> Dataset:
    """Return the one dataset that a file declares, named after the file; read the file again if it changed.

    Raises UsageError, with the file and the line, if the file does not declare this dataset.
    """
    if not NAME.fullmatch(path.stem):
        raise UsageError(
            f"{path}: a declaration file has the name of its dataset; use lowercase letters, digits and "
            "_, starting with a letter"
        )
    try:
        status = path.stat()
        version = status.st_mtime_ns, status.st_size
        known = _read.get(path)
        if known and known[0] == version:
            return known[1]
        module = _execute(path)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{_place(path, error)}: {_words(error)}") from error
    dataset = _only_dataset(path, module)
    _read[path] = version, dataset
    return dataset


class _Loader(SourceFileLoader):
    """A loader without bytecode, which is checked to the second only, and would be written beside it."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _execute(path: Path) -> ModuleType:
    """Execute a file as a module with a private name, which no other module imports by accident."""
    name = f"_notebook_pipeline_datasets.{path.stem}"
    spec = spec_from_loader(name, loader := _Loader(name, str(path)))
    assert spec  # noqa: S101 - there is one for every loader
    module = module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def _only_dataset(path: Path, module: ModuleType) -> Dataset:
    """Return the dataset of an executed file; raise UsageError unless it is the only one, with its name."""
    found = {id(value): name for name, value in vars(module).items() if isinstance(value, Dataset)}
    names = sorted(found.values())
    place = f"{path}, line {_line_of(path, names)}"
    if len(names) != 1:
        listed = f" ({', '.join(names)})" if names else ""
        raise UsageError(
            f"{place}: declares {len(names)} datasets{listed}; expected one, assigned to a name, as in "
            f'{path.stem.upper()} = Dataset("{path.stem}", …)'
        )
    dataset = getattr(module, names[0])
    if dataset.name != path.stem:
        other = path.with_name(f"{dataset.name}.py")
        taken = ", which exists already and declares that name" if other.is_file() else ""
        raise UsageError(
            f"{place}: declares dataset {dataset.name!r}; expected {path.stem!r}, the file's name: rename "
            f"the dataset, or the file to {other.name}{taken}"
        )
    return dataset


def _files() -> list[Path]:
    """Return the declaration files; those that begin with . or _ belong to editors or to Python."""
    return sorted(path for path in settings.datasets().glob("*.py") if path.name[0] not in "._")


def _place(path: Path, error: BaseException) -> str:
    """Return the file, and the line of it that was executed last."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path) and error.lineno:
        lines.append(error.lineno)
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _words(error: BaseException) -> str:
    if isinstance(error, UsageError):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"invalid Python: {error.msg}"
    if isinstance(error, SystemExit):
        return "exits the program; expected a declaration"
    unexpected = _UNEXPECTED.match(str(error))
    known = getattr(declare, unexpected[1], None) if unexpected else None
    takes = f"; it takes {', '.join(inspect.signature(known).parameters)}" if known else ""
    return f"{type(error).__name__}: {error}{takes}"


def _line_of(path: Path, names: list[str]) -> int:
    """Return the line in which the last of these names is assigned, or 1 if none is."""
    lines = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in names
    ]
    return max(lines, default=1)
