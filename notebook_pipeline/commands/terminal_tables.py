"""Tables of runs, differences and traces, for a terminal or a pipe."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from notebook_pipeline.commands.console import open_console, pairs, print_section, table
from notebook_pipeline.number_texts import counted
from notebook_pipeline.review.difference import CellChange, Change, Difference
from notebook_pipeline.review.queries import Run
from notebook_pipeline.review.trace import Trace
from notebook_pipeline.review.wording import (
    duration,
    facts,
    growth,
    harmless,
    moment,
    origin,
    shown,
    status,
    verdict,
)
from notebook_pipeline.storage.row_counts import ROW_COUNTS, short_name

_STYLES = {
    "success": "green",
    "passed": "green",
    "failed": "bold red",
    "lost": "bold red",
    "running": "yellow",
    "warning": "yellow",
}
_GAP = 2
_LINES = 60
_COLUMNS = ("run", "started", "notebook", "dataset", "status", *ROW_COUNTS, "seconds", "artefact")
# The columns that a narrow terminal omits, in this order; `show RUN` and --json have all of them.
_OMITTED = (
    *("artefact", "rows_deleted", "rows_stale", "rows_unchanged", "rows_read", "dataset"),
    *("rows_rejected", "rows_updated", "rows_inserted", "seconds"),
)


def print_runs(runs: Sequence[Run], total: int) -> None:
    """Print one line per run."""
    console = open_console()
    if not runs:
        console.print("no run matches")
        return
    lines = [_line(run) for run in runs]
    columns = _fitting(lines, console.width)
    rows = ([line[name] for name in columns] for line in lines)
    numbers = {*map(short_name, ROW_COUNTS), "seconds"}
    console.print(table([*map(short_name, columns)], rows, numbers))
    if total > len(runs):
        console.print(
            f"{len(runs)} of {counted(total, 'run')}; --limit shows more, --json all fields", style="dim"
        )


def print_run(run: Run, checks: Iterable[Mapping[str, Any]], rejected: Sequence[Mapping[str, Any]]) -> None:
    """Print all that the ledger knows about one run."""
    console = open_console()
    console.print(Text.assemble((run["run_id"], "bold"), "  ", _coloured(status(run))))
    if run["error"]:
        console.print(Text(shown(run["error"]), "red"))
    console.print(pairs(facts(run)))
    print_section(console, "parameters", pairs(json.loads(run["parameters"]).items()))
    if run["rows_read"] is not None:
        print_section(console, "rows", pairs((short_name(name), run[name]) for name in ROW_COUNTS))
    _print_checks(console, list(checks))
    _print_rejected(console, run, rejected)


def print_difference(difference: Difference) -> None:
    """Print the difference between two runs, section by section."""
    console = open_console()
    for sign, run in (("-", difference.before), ("+", difference.after)):
        words = f"{sign} {run['run_id']}  {run['notebook']}  {moment(run['started_at'])}  "
        console.print(Text.assemble((words, "bold"), _coloured(status(run))))
    for name, changes in difference.sections.items():
        if changes:
            print_section(console, name, _change_table(changes))
    for cell in difference.cells:
        _print_cell(console, cell)
    for run_id in difference.missing:
        console.print(f"\nthe executed notebook of {run_id} is missing, so cells were not compared")
    if difference.is_empty and not difference.missing:
        console.print("\nno difference except times and ids")


def print_trace(trace: Trace | None, table: str, key: str) -> None:
    """Print a row and the run that last changed it."""
    console = open_console()
    if trace is None:
        console.print(f"{table} {key}: no such row, and no run has deleted one")
        return
    if trace.row is None:
        console.print(Text(f"{table} {key}: deleted", "bold"))
    else:
        # Values as they are stored: a key with thousands separators could not be searched for.
        console.print(pairs((name, _verbatim(value)) for name, value in trace.row.items()))
    print_section(console, "deleted by" if trace.row is None else "last changed by", pairs(origin(trace)))


def _fitting(lines: Sequence[Mapping[str, Text]], width: int) -> list[str]:
    """Return the columns that fit into `width` characters."""
    columns: list[str] = list(_COLUMNS)
    widths = {name: max(len(short_name(name)), *(len(line[name]) for line in lines)) for name in columns}
    for name in _OMITTED:
        if sum(widths[name] + _GAP for name in columns) - _GAP <= width:
            break
        columns.remove(name)
    return columns


def _line(run: Run) -> dict[str, Text]:
    cells: dict[str, object] = {
        "run": run["run_id"][-6:],
        "started": moment(run["started_at"])[:16],
        "notebook": run["notebook"],
        "dataset": run["dataset"],
        "seconds": duration(run),
        "artefact": run["artifact"],
    }
    cells |= {name: run[name] for name in ROW_COUNTS}
    return {name: Text(shown(value)) for name, value in cells.items()} | {"status": _coloured(status(run))}


def _print_checks(console: Console, checks: Sequence[Mapping[str, Any]]) -> None:
    if not checks:
        return
    values = ("measured", "expected", "sample")
    rows = (
        [check["check_name"], _coloured(verdict(check)), *(shown(check[name]) for name in values)]
        for check in checks
    )
    print_section(console, "checks", table(("check", "", *values), rows))


def _print_rejected(console: Console, run: Run, rejected: Sequence[Mapping[str, Any]]) -> None:
    if not rejected:
        return
    rows = ([row["position"], harmless("; ".join(row["reasons"])), row["row"]] for row in rejected)
    total = run["rows_rejected"] or len(rejected)
    some = f"the first {len(rejected)} of {counted(total, 'rejected row')}"
    heading = some if total > len(rejected) else "rejected rows"
    print_section(console, heading, table(("position", "reasons", "row"), rows))


def _change_table(changes: Sequence[Change]) -> Table:
    made = Table(box=None, pad_edge=False, show_header=False)
    for change in changes:
        before, after = Text(shown(change.before), "red"), Text(shown(change.after) + growth(change), "green")
        made.add_row(Text(change.name), before, Text("→", "dim"), after)
    return made


def _print_cell(console: Console, cell: CellChange) -> None:
    for name, lines in (("source", cell.source), ("output", cell.output)):
        if lines:
            console.print(f"\n[bold]{name} of[/bold] ", Text(cell.title), sep="")
            for line in lines[:_LINES]:
                console.print(
                    Text(f"  {harmless(line)}", {"-": "red", "+": "green", "@": "dim"}.get(line[0], ""))
                )
            if len(lines) > _LINES:
                console.print(f"  … and {counted(len(lines) - _LINES, 'more line')}", style="dim")
    if cell.pictures:
        console.print("\n[bold]picture of[/bold] ", Text(cell.title), sep="")
        console.print("  differs; `notebook-pipeline review` shows both")


def _verbatim(value: object) -> object:
    return None if value is None else str(value)


def _coloured(status: str) -> Text:
    return Text(status, _STYLES.get(status, ""))
