"""The review commands: `runs`, `show`, `diff`, `trace` and `review`."""

# Each command imports what it needs beyond argparse itself, so that `run` starts fast.

import argparse
import json
from typing import TYPE_CHECKING, Any

from notebook_pipeline.number_texts import counted

if TYPE_CHECKING:
    from notebook_pipeline.review.queries import Filters

Subcommands = argparse._SubParsersAction


def add_commands(commands: Subcommands) -> None:
    """Add the subcommands; each sets `command`, which takes the arguments and returns the exit code."""
    _add_runs(commands)
    show = _add(commands, "show", show_run, "show what one run did: counts, checks, rejected rows, error")
    show.add_argument("run", metavar="RUN", help="id of a run; its beginning or end is enough")
    diff = _add(
        commands, "diff", diff_runs, "compare two runs, by default the last one with the previous one"
    )
    diff.add_argument("runs", metavar="RUN", nargs="*", help="ids of two runs, the older first")
    diff.add_argument(
        "--page", action="store_true", help="write the difference to an HTML page and print its address"
    )
    trace = _add(commands, "trace", trace_key, "show which run a row comes from")
    trace.add_argument("table", metavar="TABLE")
    trace.add_argument("key", metavar="KEY", nargs="+", help="a value for each column of the key")
    pages = _add(commands, "review", write_review, "write HTML pages of all runs to output/review/")
    pages.add_argument("--all", action="store_true", help="write every page again, even if it is up to date")


def list_ledger(arguments: argparse.Namespace) -> int:
    """Print the ledger, newest run first."""
    from notebook_pipeline.commands import terminal_tables
    from notebook_pipeline.review import queries, wording

    with queries.open_ledger() as database:
        filters = _filters(arguments)
        runs = queries.list_runs(database, filters, limit=arguments.limit)
        total = queries.count_runs(database, filters)
    if arguments.json:
        return _print_json([wording.described(run) for run in runs])
    terminal_tables.print_runs(runs, total)
    return 0


def show_run(arguments: argparse.Namespace) -> int:
    """Print what one run did."""
    from notebook_pipeline.commands import terminal_tables
    from notebook_pipeline.review import queries, wording

    with queries.open_ledger() as database:
        run = queries.find_run(database, arguments.run)
        checks = queries.stored_checks(database, run["run_id"])
        rejected = queries.read_rejected(database, run["run_id"])
    if arguments.json:
        return _print_json({**wording.described(run), "checks": checks, "rejected": rejected})
    terminal_tables.print_run(run, map(queries.named, checks), rejected)
    return 0


def diff_runs(arguments: argparse.Namespace) -> int:
    """Print the difference between two runs."""
    from notebook_pipeline.commands import terminal_tables
    from notebook_pipeline.errors import UsageError
    from notebook_pipeline.outputs.output_store import open_output
    from notebook_pipeline.review import difference, queries

    if len(arguments.runs) not in (0, 2):
        raise UsageError("give two runs to compare, or none to compare the last one with the previous one")
    with queries.open_ledger() as database:
        pair = [queries.find_run(database, name) for name in arguments.runs]
        before, after = pair or queries.last_two_runs(database)
        output = open_output()
        found = difference.compare(
            difference.review(database, output, before), difference.review(database, output, after)
        )
    if arguments.json:
        return _print_json(found.to_json())
    if arguments.page:
        from notebook_pipeline.review.pages import write_difference

        print(write_difference(found))
        return 0
    terminal_tables.print_difference(found)
    return 0


def trace_key(arguments: argparse.Namespace) -> int:
    """Print where a row comes from; return 1 if no run ever wrote it."""
    from notebook_pipeline.commands import terminal_tables
    from notebook_pipeline.review import queries
    from notebook_pipeline.review.trace import trace_row

    with queries.open_ledger() as database:
        trace = trace_row(database, arguments.table, arguments.key)
    if arguments.json:
        _print_json(trace.to_json() if trace else None)
    else:
        terminal_tables.print_trace(trace, arguments.table, ", ".join(arguments.key))
    return 0 if trace else 1


def write_review(arguments: argparse.Namespace) -> int:
    """Write the pages and print the address of the index."""
    from notebook_pipeline.review.pages import write_pages

    written = write_pages(rewrite=arguments.all)
    if arguments.json:
        return _print_json({"index": written.index, "runs": written.runs, "rendered": written.rendered})
    print(f"{counted(written.runs, 'run')}, {counted(written.rendered, 'page')} written: {written.index}")
    return 0


def _add_runs(commands: Subcommands) -> None:
    runs = _add(commands, "runs", list_ledger, "list the runs, newest first")
    runs.add_argument("--notebook", default="", help="only this notebook, such as bulk_load")
    runs.add_argument("--dataset", default="", help="only this dataset")
    runs.add_argument("--status", default="", choices=["running", "success", "failed"])
    runs.add_argument("--days", type=_days, default=None, help="only runs of the last DAYS days")
    runs.add_argument("--limit", type=int, default=20, help="maximum number of runs; -1 for all (20)")


def _add(commands: Subcommands, name: str, command: Any, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.set_defaults(command=command)
    return parser


def _days(text: str) -> float:
    days = float(text)
    if not days >= 0:
        raise ValueError
    return days


def _filters(arguments: argparse.Namespace) -> "Filters":
    from notebook_pipeline.review.queries import Filters

    return Filters(arguments.notebook, arguments.dataset, arguments.status, arguments.days)


def _print_json(value: object) -> int:
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))
    return 0
