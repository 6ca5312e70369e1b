"""Bulk loads of many files into PostgreSQL, with one and four task slots, compared with COPY and dlt."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks import data
from benchmarks.postgres_server import Server, running
from benchmarks.programs import Command, notebook, script
from benchmarks.race import CACHE, ROUNDS, Contender, Result, fresh_folder, race
from benchmarks.report import Goal, Section, side_by_side, table
from notebook_pipeline.connections import FILES, Connection
from notebook_pipeline.declare.file_declaration import Files
from notebook_pipeline.sources.files.locations import groups

DEFAULT_ROWS = (2_000_000,)
FILES_LOADED = 16
SLOTS = 4
# Beyond this, dlt takes many minutes.
MOST_FOR_ALL = 2_000_000
COPY = r"psql \copy"
OURS = "notebook-pipeline run, one task"
AT_ONCE = f"{SLOTS} tasks at once"
_TABLE = """CREATE TABLE player (player_id BIGINT PRIMARY KEY NOT NULL, gsis_id TEXT,
    first_name TEXT NOT NULL, last_name TEXT NOT NULL, position TEXT NOT NULL,
    last_changed_date TEXT NOT NULL)"""


def measure_loads(rows: int) -> Section:
    """Measure loading the same rows from 16 files with every loader."""
    with fresh_folder() as folder, running(folder) as server:
        results = race(_contenders(server, rows), ROUNDS if rows <= MOST_FOR_ALL else 1)
        spent = {name: statistics.median(seconds) for name, seconds in server.cpu_seconds.items()}
    copied = results[COPY]
    goals = [
        Goal(f"{OURS} against {COPY}", results[OURS].over(copied), 1.5),
        Goal(f"{AT_ONCE} against one task", results[AT_ONCE].over(results[OURS]), 1.0),
    ]
    about = (
        f"{FILES_LOADED} files hold the rows; each contender starts with an empty database and ends with one "
        "table of the same primary key. PostgreSQL is on the same machine, over a socket, with the options "
        r"of the Compose file; `\copy` reads CSV, the others Parquet. This pipeline also checks every cell, "
        "marks every row with its run, merges by key, and leaves a ledger and an executed notebook. Memory "
        "and CPU in the first table are the loader's, without the server."
    )
    tables = [side_by_side(results.values(), copied, rows), _server(results.values(), spent)]
    return Section(f"Bulk load of {rows:,} rows into PostgreSQL", about, goals, tables)


def _contenders(server: Server, rows: int) -> list[Contender]:
    parquet, text = (data.parts(rows, FILES_LOADED, suffix) for suffix in ("parquet", "csv"))
    files = Connection(FILES, "fs", extra={"path": str(CACHE)})
    notebooks = [notebook("bulk_load", source=group) for group in groups(str(parquet), files, Files(), SLOTS)]
    copies = [_copy(server, paths) for paths in _shared_out(sorted(text.iterdir()))]

    def contender(
        name: str, command: Callable[[Path], Sequence[str | Path]], rounds: int = ROUNDS
    ) -> Contender:
        return Contender(
            name,
            command,
            prepare=lambda _: _prepare(server, name),
            check=lambda _: server.check(name, rows),
            environment=server.variables,
            rounds=rounds,
        )

    found = [
        contender(COPY, lambda _: _copy(server, sorted(text.iterdir()))),
        contender(f"{COPY}, {SLOTS} sessions", lambda _: _together(copies)),
        contender("load step alone, one task", lambda _: script("load_step", parquet)),
        contender(OURS, lambda _: notebook("bulk_load", source=parquet)),
        contender(AT_ONCE, lambda _: _together(notebooks)),
    ]
    dlt = contender(
        "dlt, merge", lambda folder: script("dlt_postgres", parquet, server.url, folder / "dlt"), 1
    )
    return [*found, dlt] if rows <= MOST_FOR_ALL else found


def _prepare(server: Server, name: str) -> None:
    server.make_database(_TABLE if name.startswith(COPY) else None)


def _copy(server: Server, paths: Iterable[Path]) -> Command:
    """Return the command that copies the files in sequence, each in its own transaction."""
    copies = [f"\\copy player FROM '{path}' (FORMAT csv, HEADER)" for path in paths]
    return [*server.psql, *(part for copy in copies for part in ("--command", copy))]


def _together(commands: Sequence[Command]) -> Command:
    return script("at_once", json.dumps([[str(part) for part in command] for command in commands]))


def _shared_out(paths: Sequence[Path]) -> list[Sequence[Path]]:
    size = len(paths) // SLOTS
    return [paths[begin : begin + size] for begin in range(0, len(paths), size)]


def _server(results: Iterable[Result], spent: dict[str, float]) -> str:
    """Return the table of CPU times: the loader's, the server's, and the number of busy cores."""
    return table(
        ["", "loader's CPU s", "server's CPU s", "cores busy"],
        [
            [
                result.name,
                f"{result.cpu_seconds:.1f}",
                f"{spent[result.name]:.1f}",
                f"{(result.cpu_seconds + spent[result.name]) / result.seconds:.1f}",
            ]
            for result in results
        ],
    )
