"""Check results as tables that are readable in print, in dark mode, without colours and without scripts.

Styles are inline: JupyterLab removes style sheets from notebooks that it did not run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from notebook_pipeline.checks.results import CheckResult, Report

ICONS = {"failed": "✗", "warning": "▲", "passed": "✓"}

_SHOWN = ("check_name", "measured", "expected", "severity")
# Both text and background have a colour: in print and in dark mode either may be dropped.
_COLOURS = {
    "failed": "background-color:#F9D5C3;color:#7A2600;font-weight:bold",
    "warning": "background-color:#FBEBB5;color:#553F00;font-weight:bold",
    "passed": "background-color:#D3EBF8;color:#003E62",
}
_CELL = (
    "text-align:left;vertical-align:top;white-space:normal;padding:4px 10px;border-bottom:1px solid #999999"
)


@dataclass(frozen=True)
class Shown:
    """A display as HTML and as plain text."""

    html: str
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


def show_results(report: Report) -> Shown:
    """Return a table of every check, with its outcome as icon, word and colour, the worst first."""
    worst_first = sorted(report.results, key=lambda result: list(ICONS).index(result.outcome))
    header = ["outcome", "check", "measured", "expected", "severity"]
    rows = [
        [f"{ICONS[result.outcome]} {result.outcome}", *(getattr(result, name) for name in _SHOWN)]
        for result in worst_first
    ]
    styles = [_COLOURS[result.outcome] for result in worst_first]
    return Shown(_html_table(header, rows, styles), _text_table(header, rows))


def show_failing_rows(report: Report) -> Shown:
    """Return tables of the offending rows of every check that did not pass, up to 20 rows for each."""
    shown = [_failing(result) for result in (*report.failed, *report.warnings) if result.rows]
    if not shown:
        nothing = "No failed check has a sample of rows."
        return Shown(f"<p>{nothing}</p>", nothing)
    return Shown("".join(part.html for part in shown), "\n\n".join(part.text for part in shown))


def _failing(result: CheckResult) -> Shown:
    title = f"{ICONS[result.outcome]} {result.check_name}: {result.measured}"
    header = list(dict.fromkeys(name for row in result.rows for name in row))
    rows = [[_readable(row, name) for name in header] for row in result.rows]
    html = f'<p style="margin-bottom:2px"><strong>{escape(title)}</strong></p>{_html_table(header, rows)}'
    return Shown(html, f"{title}\n{_text_table(header, rows)}")


def _readable(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    return "—" if value is None else str(value)


def _html_table(header: Sequence[str], rows: Sequence[Sequence[str]], first: Sequence[str] = ()) -> str:
    """Return an HTML table; `first` has the style of the first cell of each row."""
    heads = "".join(
        f'<th scope="col" style="{_CELL};font-weight:bold">{escape(name)}</th>' for name in header
    )
    lines = []
    for place, row in enumerate(rows):
        styles = [f"{_CELL};white-space:nowrap;{first[place]}" if first else _CELL, *[_CELL] * len(row)]
        cells = "".join(
            f'<td style="{style}">{escape(text)}</td>' for style, text in zip(styles, row, strict=False)
        )
        lines.append(f"<tr>{cells}</tr>")
    body = "\n".join(lines)
    return (
        '<table style="border-collapse:collapse;border:none;font-size:90%">\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    )


def _text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = zip(header, *rows, strict=True)
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in [header, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)
