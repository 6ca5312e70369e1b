"""What all tables on a terminal share: its width, headings, and names beside values."""

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from notebook_pipeline.review.wording import shown

_PIPE_WIDTH = 10_000


def open_console() -> Console:
    """Return a console on standard output, as wide as the terminal; into a pipe no line is broken."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, highlight=False, soft_wrap=False)


def print_section(console: Console, name: str, table: Table) -> None:
    """Print a table below an empty line and its name."""
    console.print()
    console.print(Text(name, "bold"))
    console.print(table)


def pairs(named: Iterable[tuple[str, object]]) -> Table:
    """Return a table of names and values."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in named:
        table.add_row(name, Text(shown(value)))
    return table
