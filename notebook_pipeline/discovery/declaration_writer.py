"""The text of a drafted declaration, checked by loading it."""

import tempfile
from pathlib import Path

from notebook_pipeline.declare import catalogue
from notebook_pipeline.declare.dataset import Dataset
from notebook_pipeline.discovery import draft as drafts
from notebook_pipeline.discovery.draft import DECIDE, Draft
from notebook_pipeline.discovery.python_layout import WIDTH, Call, Item, laid_out, literal


def declaration_text(draft: Draft) -> str:
    """Return the content of `datasets/<name>.py`, laid out as ruff does."""
    declared = _dataset(draft)
    names = sorted({"Column", "Dataset", *_called(declared)})
    lines = [
        f'"""The table {draft.name}, drafted from {_quotable(draft.origin)}."""',
        "",
        "import pyarrow as pa",
        "",
        *_import(names),
        "",
        *laid_out(declared, f"{draft.name.upper()} = "),
    ]
    return "\n".join(lines) + "\n"


def loaded(name: str, text: str) -> Dataset:
    """Return the dataset that a declaration declares; raise UsageError if it cannot be loaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.py")
        path.write_text(text, encoding="utf-8")
        return catalogue.read_declaration(path)


def _dataset(draft: Draft) -> Call:
    items = [
        Item(literal(draft.name), "name"),
        Item(drafts.columns(draft), "columns"),
        drafts.key(draft),
        drafts.cursor(draft),
        *_source(draft),
    ]
    if draft.table.ignored:
        named = Call("", [_ignored(name, reason) for name, reason in draft.table.ignored])
        items.append(Item(named, "ignored"))
    items += [Item(drafts.rules(draft), "rules"), Item(drafts.checks(draft), "checks")]
    return Call("Dataset", items)


def _source(draft: Draft) -> list[Item]:
    remarks = [DECIDE + remark for remark in (*draft.table.remarks, *draft.source.remarks)]
    return [Item(draft.source.declared or Call("Files"), draft.source.argument, remarks)]


def _ignored(name: str, reason: str) -> Item:
    return Item(literal(name), comments=[DECIDE + reason])


def _called(value: Call | str) -> set[str]:
    """Return the names of all classes that a call uses."""
    if isinstance(value, str):
        return set()
    inner = [name for item in value.items for name in _called(item.value)]
    return {*inner, *([value.name] if value.name else [])}


def _import(names: list[str]) -> list[str]:
    short = f"from notebook_pipeline.declare import {', '.join(names)}"
    if len(short) <= WIDTH:
        return [short]
    return ["from notebook_pipeline.declare import (", *(f"    {name}," for name in names), ")"]


def _quotable(origin: str) -> str:
    return origin.replace("\\", "/").replace('"', "'")
