"""API updates compared with a script without checks and with dlt, and how memory grows."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import data
from benchmarks.measure import measure
from benchmarks.programs import DATABASE, answers, notebook, script
from benchmarks.race import Contender, Result, environment, fresh_folder, race, tell
from benchmarks.report import Goal, Section, megabytes, side_by_side, table
from benchmarks.server import PAGE
from notebook_pipeline import settings
from notebook_pipeline.connections import API, Connection, variable

ROWS, FEW = 500_000, 50_000
# These runs are short, so their times vary more: take the median of more runs than elsewhere.
ROUNDS = 7
COMMAND, STEP = "notebook-pipeline run", "update step alone"
SCRIPT, DLT = "minimal script", "dlt rest_api, merge"
OLDER, OLDER_PLAIN = "older.db", "older-plain.db"
_CHANGED = "SELECT count(*) FROM player WHERE last_name LIKE '%-Later'"


def measure_updates() -> Iterator[Section]:
    """Measure updates of an empty table, and of one that has an older version of every row."""
    with _serving(ROWS) as url:
        empty = race([*_contenders(url, ROWS), _dlt(url)], ROUNDS)
        with fresh_folder() as folder:
            _load_older(folder)
            older = race(_contenders(url, ROWS, folder), ROUNDS)
    with _serving(FEW) as url:
        few = race([each for each in _contenders(url, FEW) if each.name in (COMMAND, STEP)])
    more = [
        Goal("update step, times as fast as dlt", empty[DLT].over(empty[STEP]), 3, at_least=True),
        Goal("whole command, times as fast as dlt", empty[DLT].over(empty[COMMAND]), 3, at_least=True),
        Goal(
            f"peak memory at {ROWS:,} rows against at {FEW:,}",
            empty[COMMAND].peak_bytes / few[COMMAND].peak_bytes,
            1.1,
        ),
    ]
    yield _section("into an empty table", empty, more, [_by_rows(few, empty)])
    yield _section(f"over {ROWS:,} older rows", older, [], [])


def _section(where: str, results: dict[str, Result], goals: list[Goal], tables: list[str]) -> Section:
    against = results[SCRIPT]
    about = (
        f"{ROWS:,} changed rows, {PAGE:,} a page, from a server on loopback that sends prepared pages. The "
        "script fetches with requests, parses with orjson and upserts with sqlite3. It checks nothing, saves "
        "no page, ledger or rejected row, and does not notice rows that move between pages."
    )
    goals = [
        Goal("update step against the script", results[STEP].over(against), 1.3),
        Goal("whole command against the script", results[COMMAND].over(against), 1.3),
        *goals,
    ]
    return Section(
        f"API update {where}", about, goals, [side_by_side(results.values(), against, ROWS), *tables]
    )


def _by_rows(few: dict[str, Result], many: dict[str, Result]) -> str:
    lines = [
        [
            name,
            megabytes(few[name]),
            megabytes(many[name]),
            f"{many[name].cpu_seconds / (ROWS / 100_000):.2f}",
            f"{(many[name].cpu_seconds - few[name].cpu_seconds) / ((ROWS - FEW) / 100_000):.2f}",
        ]
        for name in few
    ]
    cpu = "CPU s per 100,000 rows"
    header = ["", f"peak MB at {FEW:,} rows", f"at {ROWS:,}", f"{cpu}, start included", f"{cpu}, each more"]
    return table(header, lines)


def _contenders(url: str, rows: int, older: Path | None = None) -> list[Contender]:
    """Return the script, this update step and the whole command, on a copy of an older database or none."""
    api = {variable(API): Connection(API, "http", host=url).to_json()}
    check = answers(rows, _CHANGED)

    def copy(name: str, folder: Path) -> None:
        if older:
            shutil.copy(older / name, folder / DATABASE)

    def ours(folder: Path) -> None:
        copy(OLDER, folder)

    def plain(folder: Path) -> None:
        copy(OLDER_PLAIN, folder)

    return [
        Contender(SCRIPT, lambda folder: script("api_script", url, folder / DATABASE), plain, check),
        Contender(STEP, lambda _: script("update_step"), ours, check, api),
        Contender(COMMAND, lambda _: notebook("api_incremental_update", page_size=PAGE), ours, check, api),
    ]


def _dlt(url: str) -> Contender:
    return Contender(
        DLT,
        lambda folder: script("dlt_rest", url, folder / DATABASE),
        check=answers(ROWS, _CHANGED),
        rounds=1,
    )


def _load_older(folder: Path) -> None:
    """Load the players as they were before they changed, once with this pipeline and once with the script."""
    variables = environment(folder)
    for command in (
        script("load_step", data.as_parquet(ROWS)),
        script("executemany", data.as_csv(ROWS), folder / OLDER_PLAIN),
    ):
        measure(command, environment=variables, folder=settings.CHECKOUT)
    (folder / DATABASE).rename(folder / OLDER)


@contextmanager
def _serving(rows: int) -> Iterator[str]:
    """Serve changed players from a separate process; yield its address."""
    tell(f"rendering {rows:,} changed rows")
    command = [sys.executable, "-m", "benchmarks.server", str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=settings.CHECKOUT) as server:
        assert server.stdout  # noqa: S101
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()
