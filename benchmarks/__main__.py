"""Measure and write docs/benchmarks.md: `python -m benchmarks [SECTION]… [--rows N]…`; by default all."""

import argparse
import sys
from collections.abc import Iterator, Sequence

from benchmarks import api, bulk, checks, data, growth, postgres, runner
from benchmarks.race import tell
from benchmarks.report import PAGE, Section, write


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the requested sections, and write each as soon as it is measured."""
    options = _options(arguments)
    wanted = options.sections or (["bulk"] if options.rows else list(SECTIONS))
    if "bulk" in wanted:
        bulk.refuse_missing_shell()
    try:
        for name in wanted:
            for section in SECTIONS[name](options.rows):
                write([section])
                tell(f"\n{section.text()}")
    finally:
        data.forget_large()
    print(f"written to {PAGE}")


def _bulk(rows: Sequence[int]) -> Iterator[Section]:
    for count in rows or bulk.DEFAULT_ROWS:
        yield bulk.measure_loads(count)
    if not rows:
        yield growth.measure_repeats()
        yield growth.measure_growth()


SECTIONS = {
    "bulk": _bulk,
    "runner": lambda _: runner.measure_runner(),
    "api": lambda _: api.measure_updates(),
    "checks": lambda _: checks.measure_checks(),
    "postgres": lambda rows: map(postgres.measure_loads, rows or postgres.DEFAULT_ROWS),
}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"one of {', '.join(SECTIONS)} (default: all)"
    )
    parser.add_argument(
        "--rows", action="append", type=int, default=[], metavar="N",
        help="measure only bulk loads (SQLite or PostgreSQL) of N rows instead of the usual numbers",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown section {', '.join(unknown)}; expected one of {', '.join(SECTIONS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
