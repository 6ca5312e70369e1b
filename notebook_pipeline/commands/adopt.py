"""The command `adopt`: take over a table that another program made, with its rows."""

# Each command imports what it needs beyond argparse itself, so that `run` starts fast.

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notebook_pipeline.storage.adoption import Adoption

_SUMMARY = "take over a table that another program made, with its rows"
_DESCRIPTION = (
    "Take over the table of a declared dataset that another program made: add the columns _run_id and "
    "_source, and convert columns that are stored otherwise. Without --yes, show what would be done. Other "
    "programs can go on inserting and updating rows."
)


def add_adopt(commands: Any) -> None:
    """Add the subcommand."""
    adopt = commands.add_parser("adopt", help=_SUMMARY, description=_DESCRIPTION)
    adopt.add_argument("table", metavar="TABLE", help="name of the table, which is that of its dataset")
    adopt.add_argument("--conn-id", default="", help="connection of the database (analytics_database)")
    adopt.add_argument("--yes", action="store_true", help="do it, in one transaction")
    adopt.add_argument("--json", action="store_true", help="print JSON and nothing else")
    adopt.set_defaults(command=adopt_table)


def adopt_table(arguments: argparse.Namespace) -> int:
    """Adopt a table or, without `--yes`, print what that takes; return 1 if something stands in the way."""
    from notebook_pipeline.connections import DATABASE, resolve
    from notebook_pipeline.declare.catalogue import get
    from notebook_pipeline.storage import adoption
    from notebook_pipeline.storage.connect import connect

    dataset = get(arguments.table)
    with connect(resolve(arguments.conn_id or DATABASE), read_only=not arguments.yes) as database:
        act = adoption.adopt if arguments.yes else adoption.plan_adoption
        found = act(database, dataset)
    if arguments.json:
        print(json.dumps(_described(found, done=arguments.yes), ensure_ascii=False))
    else:
        print("\n".join(_lines(arguments.table, found, done=arguments.yes)))
    return 1 if found.obstacles else 0


def _described(adoption: "Adoption", *, done: bool) -> dict[str, Any]:
    return {
        "adopted": done,
        "rows": adoption.rows,
        "statements": list(adoption.statements),
        "obstacles": list(adoption.obstacles),
    }


def _lines(table: str, adoption: "Adoption", *, done: bool) -> list[str]:
    statements = [f"  {statement}" for statement in adoption.statements]
    if done:
        return [f"adopted table {table} with {adoption.rows:,} rows:", *statements]
    if adoption.obstacles:
        obstacles = [f"  {obstacle}" for obstacle in adoption.obstacles]
        return [f"table {table} has {adoption.rows:,} rows and cannot be adopted yet:", *obstacles]
    return [
        f"table {table} has {adoption.rows:,} rows; adopting it would run, in one transaction:",
        *statements,
        "nothing was written; add --yes to do it",
    ]
