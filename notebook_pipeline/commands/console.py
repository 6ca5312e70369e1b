"""What all tables in a terminal share: the width, headings, and name-value pairs."""

import sys
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from notebook_pipeline.review.wording import shown

_PIPE_WIDTH = 10_000


def open_console() -> Console:
    """Return a console on standard output, as wide as the terminal; lines are not wrapped in a pipe."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, highlight=False, soft_wrap=False)


def print_section(console: Console, name: str, table: Table) -> None:
    """Print an empty line, a heading and a table."""
    console.print()
    console.print(Text(name, "bold"))
    console.print(table)


def pairs(named: Iterable[tuple[str, object]]) -> Table:
    """Return a two-column table of names and values."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in named:
        table.add_row(name, Text(shown(value)))
    return table


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], numbers: Collection[str] = ()) -> Table:
    """Return a table of texts, or of anything as text; the columns headed `numbers` are aligned right."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_header=any(headings))
    for heading in headings:
        made.add_column(heading, overflow="fold", justify="right" if heading in numbers else "left")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made
