"""Write the results as Markdown, section by section: tables of contenders, goals and figures."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from benchmarks.measure import SECONDS_BETWEEN_SAMPLES, memory_kind
from benchmarks.race import Result
from notebook_pipeline import settings
from notebook_pipeline.running import provenance

PAGE = settings.CHECKOUT / "docs" / "benchmarks.md"
_PACKAGES = (
    "adbc-driver-sqlite",
    "adbc-driver-postgresql",
    "pyarrow",
    "papermill",
    "pandas",
    "dlt",
    "sqlite-utils",
    "pointblank",
)
_HEAD = f"""# Benchmarks

`make bench` compares this pipeline with its alternatives and writes this page. Each figure covers a whole \
process with all its descendants, from start to exit, imports included. Contenders take turns (A B A B …): \
times and memory are medians over the runs, a ratio is the median of the ratios within each turn. CPU is the \
time of all processes together. Memory is the peak of the summed {{memory}} of the process tree, sampled \
about every {SECONDS_BETWEEN_SAMPLES * 1000:.0f} ms. Before each run the disk is synced; each run gets a new \
folder, and the rows that it stored are counted afterwards. Missing a goal is reported, but is not an error.
"""


@dataclass(frozen=True)
class Goal:
    """One figure and its goal `best`, an upper limit or (`at_least`) a lower one."""

    what: str
    measured: float
    best: float
    unit: str = "×"
    at_least: bool = False

    @property
    def row(self) -> list[str]:
        """Return the table row: what, goal, measured, met or not."""
        met = self.measured >= self.best if self.at_least else self.measured <= self.best
        sign = "≥" if self.at_least else "≤"
        wanted, found = (f"{_number(value)} {self.unit}".strip() for value in (self.best, self.measured))
        return [self.what, f"{sign} {wanted}", found, "yes" if met else "**no**"]


@dataclass
class Section:
    """One section of the page: a short text, tables, goals."""

    title: str
    about: str
    goals: list[Goal] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the section as Markdown; it begins with when and on what it was measured."""
        parts = [f"## {self.title}", _where(), self.about, *self.tables]
        if self.goals:
            header = ["goal", "aimed for", "measured", "met"]
            parts.append(table(header, [goal.row for goal in self.goals]))
        return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns except the first are right-aligned."""
    ruler = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ruler, *rows))


def side_by_side(results: Iterable[Result], against: Result, rows: int) -> str:
    """Return a table of contenders that did the same work, with their ratio to one of them."""
    header = ["", "runs", "seconds", f"× {against.name}", "rows/s", "CPU s", "peak MB"]
    lines = [
        [
            result.name,
            str(len(result.runs)),
            _number(result.seconds),
            _number(result.over(against)),
            f"{rows / result.seconds:,.0f}",
            _number(result.cpu_seconds),
            megabytes(result),
        ]
        for result in results
    ]
    return table(header, lines)


def megabytes(result: Result) -> str:
    """Return a result's peak memory as the tables show it."""
    return f"{result.peak_bytes / 1e6:,.0f}"


def write(sections: Iterable[Section], page: Path = PAGE) -> None:
    """Write sections to the page, replacing those with the same title; keep the rest."""
    old = page.read_text() if page.exists() else ""
    kept = {part.partition("\n")[0]: part.strip() + "\n" for part in re.split(r"(?m)^## ", old)[1:]}
    for section in sections:
        kept[section.title] = section.text().removeprefix("## ")
    head = _HEAD.format(memory=memory_kind())
    page.write_text("\n".join([head, *(f"## {part}" for part in kept.values())]))


def _where() -> str:
    """Return when, on what machine and with which versions a section was measured."""
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    shell = subprocess.run(["sqlite3", "--version"], capture_output=True, text=True, check=False).stdout
    return (
        f"*{datetime.now(UTC):%Y-%m-%d}, commit {(provenance.commit(settings.CHECKOUT) or 'unknown')[:10]}: "
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()}; "
        f"load before: {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"sqlite3 shell {shell.split(' ')[0] or 'missing'}, {packages}.*"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
