"""Tables of declared datasets, for a terminal or a pipe."""

from collections.abc import Mapping
from dataclasses import fields

from rich.text import Text

from notebook_pipeline import settings
from notebook_pipeline.commands.console import open_console, pairs, print_section, table
from notebook_pipeline.declare import Column, Dataset, Files
from notebook_pipeline.declare.catalogue import Catalogue
from notebook_pipeline.declare.column_types import type_name


def print_catalogue(declared: Catalogue) -> None:
    """Print one line per dataset, and the errors in files that cannot be used."""
    console = open_console()
    if declared.datasets:
        rows = (
            (
                dataset.name,
                len(dataset.columns),
                ", ".join(dataset.keys),
                dataset.cursor or "-",
                dataset.files.conn_id,
                _address(dataset) or "-",
            )
            for dataset in declared.datasets.values()
        )
        console.print(table(("dataset", "columns", "key", "cursor", "files", "api"), rows, ("columns",)))
    elif not declared.problems:
        console.print(f"{settings.datasets()} declares no dataset", soft_wrap=True)
    if declared.problems:
        print_section(console, "cannot be used", pairs(declared.problems.items()))


def print_dataset(dataset: Dataset) -> None:
    """Print a whole declaration."""
    console = open_console()
    console.print(Text(dataset.name, "bold"))
    facts = [
        ("key", ", ".join(dataset.keys)),
        ("cursor", dataset.cursor or "-"),
        ("files", ", ".join([dataset.files.conn_id, *_settings(dataset.files)])),
    ]
    if dataset.api:
        since, total = dataset.api.since, dataset.api.total
        facts += [
            ("api", _address(dataset)),
            ("pages", str(dataset.api.pages)),
            ("since", since.param if since else "not declared: every update reads everything"),
            ("total", f"{total.at} of {total.endpoint or 'each page'}" if total else "not declared"),
        ]
    if dataset.children:
        facts.append(("children", ", ".join(child.dataset for child in dataset.children)))
    if dataset.ignored:
        facts.append(("ignored", ", ".join(dataset.ignored)))
    console.print(pairs(facts))
    columns = (
        (
            column.name,
            type_name(column.type),
            "may be missing" if column.nullable else "",
            _written(column),
            column.doc,
        )
        for column in dataset.columns
    )
    print_section(console, "columns", table(("column", "type", "", "", ""), columns))
    if dataset.rules:
        print_section(console, "rules for incoming rows", table(("",), zip(dataset.rules, strict=True)))
    if dataset.checks:
        checks = ((check.name, check.severity) for check in dataset.checks)
        print_section(console, "checks of the table", table(("check", "severity"), checks))


def _settings(files: Files) -> list[str]:
    """Return the settings of files that differ from the usual ones."""
    usual, conn_id = Files(), "conn_id"
    given = {one.name: getattr(files, one.name) for one in fields(files) if one.name != conn_id}
    return [f"{name}={value!r}" for name, value in given.items() if value != getattr(usual, name)]


def _written(column: Column) -> str:
    """Return where and how sources have a column, if not as usual."""
    given = (("at", column.at), ("format", column.format), ("zone", column.zone))
    return ", ".join(f"{name} {_by_source(value)}" for name, value in given if value)


def _by_source(value: object) -> str:
    """Return a value, or the one of each kind of source."""
    if isinstance(value, Mapping):
        return ", ".join(f"{source}: {_by_source(one)}" for source, one in value.items())
    return ".".join(value) if isinstance(value, tuple) else str(value)


def _address(dataset: Dataset) -> str:
    api = dataset.api
    return "" if api is None else f"{api.conn_id}: {api.endpoint}" if api.conn_id else api.endpoint
