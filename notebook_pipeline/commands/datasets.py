"""The command `datasets`: show the declarations in `datasets/`, and the errors in them."""

# Each command imports what it needs beyond argparse itself, so that `run` starts fast.

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notebook_pipeline.declare import Dataset


def add_datasets(commands: Any) -> None:
    """Add the subcommand."""
    summary = "list the declarations in datasets/, or show one in full"
    datasets = commands.add_parser("datasets", help=summary, description=f"{summary.capitalize()}.")
    datasets.add_argument("name", metavar="NAME", nargs="?", default="", help="name of a dataset")
    datasets.add_argument("--json", action="store_true", help="print JSON and nothing else")
    datasets.set_defaults(command=show_datasets)


def show_datasets(arguments: argparse.Namespace) -> int:
    """Print the named dataset in full, or one line per declared dataset."""
    from notebook_pipeline.commands import dataset_tables
    from notebook_pipeline.declare import catalogue

    if arguments.name:
        dataset = catalogue.get(arguments.name)
        if arguments.json:
            return _print_json(described(dataset))
        dataset_tables.print_dataset(dataset)
        return 0
    declared = catalogue.load_all()
    if arguments.json:
        datasets = [described(dataset) for dataset in declared.datasets.values()]
        return _print_json({"datasets": datasets, "problems": dict(declared.problems)})
    dataset_tables.print_catalogue(declared)
    return 0


def described(dataset: "Dataset") -> dict[str, Any]:
    """Return a declaration as JSON types."""
    return {
        "name": dataset.name,
        "columns": [
            {
                "name": column.name,
                "type": str(column.type),
                "nullable": column.nullable,
                "at": column.at,
                "format": column.format,
                "zone": column.zone,
                "doc": column.doc,
            }
            for column in dataset.columns
        ],
        "key": dataset.key,
        "cursor": dataset.cursor,
        "files": asdict(dataset.files),
        "api": asdict(dataset.api) if dataset.api else None,
        "rules": list(map(str, dataset.rules)),
        "checks": [
            {"name": check.name, "severity": check.severity, "check": str(check)} for check in dataset.checks
        ],
        "ignored": list(dataset.ignored),
    }


def _print_json(content: dict[str, Any]) -> int:
    print(json.dumps(content, ensure_ascii=False))
    return 0
