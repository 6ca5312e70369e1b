"""The command `declare`: look at a file or at an API, and write the draft of a declaration."""

# Each command imports what it needs beyond argparse itself, so that `run` starts fast.

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from notebook_pipeline import settings
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.number_texts import counted

if TYPE_CHECKING:
    from notebook_pipeline.discovery.draft import Draft

_SUMMARY = "write the declaration of a table from a file or an API"
_DESCRIPTION = (
    "Look at a file, or at the answers of an API, and write datasets/NAME.py: columns with types, how the "
    "source is written or divided into pages, and candidates for key, cursor, rules and checks. A comment "
    "`Decide` marks each place that a person must look at."
)


def add_declare(commands: Any) -> None:
    """Add the subcommand."""
    declare = commands.add_parser("declare", help=_SUMMARY, description=_DESCRIPTION)
    declare.add_argument("name", metavar="NAME", help="name of the table: lowercase letters, digits and _")
    source = declare.add_mutually_exclusive_group(required=True)
    source.add_argument("--file", metavar="F", help="path or http address of one file, copied below data/")
    source.add_argument("--api", metavar="CONN/ENDPOINT", help="connection and endpoint of an API")
    declare.add_argument("--rows", metavar="PATH", default="", help="path of the rows in the API's answer")
    declare.add_argument("--force", action="store_true", help="overwrite the declaration if there is one")
    declare.set_defaults(command=declare_table)


def declare_table(arguments: argparse.Namespace) -> int:
    """Write the declaration, and print what is to be decided and the commands that come next."""
    path = _free_path(arguments.name, force=arguments.force)
    from notebook_pipeline.discovery.declaration_writer import declaration_text, loaded

    if arguments.api is not None:
        draft, then = _from_api(arguments.name, arguments.api, arguments.rows)
    else:
        draft, then = _from_file(arguments.name, arguments.file)
    text = declaration_text(draft)
    loaded(arguments.name, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    rows, columns = counted(draft.table.rows, "row"), counted(len(draft.table.columns), "column")
    print(f"wrote {path} from {rows} with {columns}")
    open_places = text.count("# Decide: ")
    print(f"look at {counted(open_places, 'comment')} `Decide` in it; then:")
    for command in (*then, f"notebook-pipeline run data_quality -p dataset {arguments.name}"):
        print(f"  {command}")
    return 0


def _free_path(name: str, *, force: bool) -> Path:
    """Return the path of a declaration; raise UsageError for a bad name, or one that is taken."""
    import pyarrow as pa

    from notebook_pipeline.declare import Column, Dataset

    Dataset(name, (Column("key", pa.int64(), nullable=False),), "key")
    path = settings.datasets() / f"{name}.py"
    if path.exists() and not force:
        raise UsageError(f"{path} exists already; choose another name, or add --force to overwrite it")
    return path


def _from_file(name: str, file: str) -> tuple["Draft", list[str]]:
    import tempfile

    from notebook_pipeline.connections import FILES, resolve
    from notebook_pipeline.discovery.draft import draft_of
    from notebook_pipeline.discovery.file_place import place
    from notebook_pipeline.discovery.file_sample import table_in_file

    with tempfile.TemporaryDirectory() as folder:
        try:
            placed = place(file, resolve(FILES), Path(folder), print)
            table, source = table_in_file(placed.path, placed.path.name, Path(folder))
        except PipelineError as error:
            raise UsageError(str(error)) from None
    given = shlex.quote(placed.source)
    load = f"notebook-pipeline run bulk_load -p dataset {name} -p source {given}"
    return draft_of(name, placed.source, table, source), [load]


def _from_api(name: str, api: str, rows: str) -> tuple["Draft", list[str]]:
    from notebook_pipeline.discovery.api_sample import draft_of_api

    conn_id, slash, endpoint = api.partition("/")
    if not (conn_id and slash and endpoint):
        raise UsageError(f"--api {api}: expected CONN/ENDPOINT, such as sportsworldcentral_url/v0/things/")
    update = f"notebook-pipeline run api_incremental_update -p dataset {name} -p api_conn_id {conn_id}"
    return draft_of_api(name, conn_id, endpoint, rows), [update]
